# SPDX-License-Identifier: Apache-2.0
"""Writes 50 MB without a line end to the progress channel, then a last word."""

import os

for _ in range(50):
    content = b'x' * 1_000_000
    while content:
        content = content[os.write(3, content) :]
os.write(3, b'\n77\n')
