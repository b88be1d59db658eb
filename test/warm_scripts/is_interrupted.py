# SPDX-License-Identifier: Apache-2.0
"""Is sent SIGINT, and does not catch what comes of it."""

import atexit
import os
import signal
import time

atexit.register(print, 'at the exit')
os.kill(os.getpid(), signal.SIGINT)
time.sleep(5)
