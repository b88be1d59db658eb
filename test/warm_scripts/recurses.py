# SPDX-License-Identifier: Apache-2.0
"""Recurses without an end, and then with one."""

import sys


def deeper(level):
    return deeper(level + 1) if level < 5000 else level


try:
    deeper(0)
except RecursionError as error:
    print(error)
sys.setrecursionlimit(8000)
print(deeper(0))
