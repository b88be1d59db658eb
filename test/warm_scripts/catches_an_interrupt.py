# SPDX-License-Identifier: Apache-2.0
"""Is sent SIGINT, and SIGTERM, and handles both."""

import os
import signal
import time

try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print('interrupted')
signal.signal(signal.SIGTERM, lambda number, frame: print('asked', number, frame.f_code.co_name))
os.kill(os.getpid(), signal.SIGTERM)
print('goes on')
