# SPDX-License-Identifier: Apache-2.0
"""Says on the progress channel what nobody can understand, and one thing that can be."""

import os

NONSENSE = (
    b'\xff\xfe no UTF-8',
    b'neither number nor object',
    b'{"progress": NaN}',
    b'{"progress": "45"}',
    b'{"progress": {"percent": 45}}',
    b'{"message": 3}',
    b'[1, 2, 3]',
    b'{"progress": ' * 600 + b'}' * 600,
    b'x' * 100_000,
    b'\0\0\0',
    b'{"progress": 45, "message": "\\ud800"}',
)
for line in NONSENSE:
    os.write(3, line + b'\n')
os.write(3, b'{"progress": 42, "message": "understood"}\n')
for line in NONSENSE[-4:]:
    os.write(3, line + b'\n')
