# SPDX-License-Identifier: Apache-2.0
"""Leaves by sys.exit."""

import atexit
import sys

atexit.register(print, 'at the exit')
sys.exit(3)
