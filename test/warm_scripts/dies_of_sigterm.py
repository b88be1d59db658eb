# SPDX-License-Identifier: Apache-2.0
"""Is ended by a signal."""

import atexit
import os
import signal
import time

atexit.register(print, 'never')
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
