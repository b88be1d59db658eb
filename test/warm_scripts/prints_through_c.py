# SPDX-License-Identifier: Apache-2.0
"""Prints by the C library, whose buffer nobody flushes, and has it call back at the exit."""

import ctypes

libc = ctypes.CDLL(None)
libc.puts(b'by C')
print('by Python')
