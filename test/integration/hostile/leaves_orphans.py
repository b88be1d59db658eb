# SPDX-License-Identifier: Apache-2.0
"""Leaves 300 orphans and ends."""

import os
import time

if os.fork() == 0:
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    os._exit(0)
os.wait()
