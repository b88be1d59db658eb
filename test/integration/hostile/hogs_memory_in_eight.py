# SPDX-License-Identifier: Apache-2.0
"""Eight children hold 50 MiB each and wait; says `up` once they do."""

import os
import sys
import time

reading, writing = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        held = b'\1' * (50 * 1024 * 1024)
        os.write(writing, b'1')
        time.sleep(60)
        os._exit(len(held) % 2)
for _ in range(8):
    os.read(reading, 1)
sys.stdout.write('up\n')
sys.stdout.flush()
time.sleep(60)
