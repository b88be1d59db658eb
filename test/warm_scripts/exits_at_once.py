# SPDX-License-Identifier: Apache-2.0
"""Leaves without any end of the interpreter."""

import atexit
import os

atexit.register(print, 'never')
print('printed')
os._exit(7)
