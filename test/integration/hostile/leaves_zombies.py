# SPDX-License-Identifier: Apache-2.0
"""Has 100 zombies, and ends."""

import os
import time

for _ in range(100):
    if os.fork() == 0:
        os._exit(0)
time.sleep(0.3)
