# SPDX-License-Identifier: Apache-2.0
"""Writes much to both streams, in turns."""

import sys

for number in range(20000):
    print('line', number)
    if number % 100 == 0:
        print('error', number, file=sys.stderr)
sys.stdout.buffer.write(b'\xff\x00' * 10)
print('\udcff is no text', file=sys.stderr)
