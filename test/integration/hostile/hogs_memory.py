# SPDX-License-Identifier: Apache-2.0
"""Holds more and more memory, up to 600 MiB, then waits."""

import time

held = []
for _ in range(60):
    held.append(b'\1' * (10 * 1024 * 1024))
    time.sleep(0.01)
time.sleep(60)
