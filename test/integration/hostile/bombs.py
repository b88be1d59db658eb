# SPDX-License-Identifier: Apache-2.0
"""Forks as fast as it can, to 150 processes at most; each waits."""

import os
import time

for _ in range(149):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
time.sleep(60)
