"""Eight children hold 50 MiB each and wait."""

import os
import time

for _ in range(8):
    if os.fork() == 0:
        held = b'\1' * (50 * 1024 * 1024)
        time.sleep(60)
        os._exit(len(held) % 2)
time.sleep(60)
