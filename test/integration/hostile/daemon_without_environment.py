# SPDX-License-Identifier: Apache-2.0
"""Leaves a daemon in a session of its own, its environment cleared, its descriptors closed."""

import os
import sys
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir('/')
        os.closerange(0, 256)
        os.execve('/bin/sleep', ['sleep', '600'], {})
    os._exit(0)
os.wait()
time.sleep(0.2)
sys.stdout.write('up\n')
sys.stdout.flush()
time.sleep(600)
