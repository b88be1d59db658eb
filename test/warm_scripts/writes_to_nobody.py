# SPDX-License-Identifier: Apache-2.0
"""Writes to a pipe that nobody reads: an error, and no death by SIGPIPE."""

import os

reading, writing = os.pipe()
os.close(reading)
try:
    os.write(writing, b'x')
except BrokenPipeError as error:
    print(type(error).__name__, error.errno)
