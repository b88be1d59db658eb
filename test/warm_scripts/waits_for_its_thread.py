# SPDX-License-Identifier: Apache-2.0
"""Ends when its thread does, which runs on after the module's end."""

import atexit
import threading
import time


def works():
    time.sleep(0.2)
    print('the thread ends', threading.main_thread().is_alive())


atexit.register(print, 'at the exit')
threading.Thread(target=works).start()
print('end of the module')
