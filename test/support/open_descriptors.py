# SPDX-License-Identifier: Apache-2.0
"""What a process has open. Of a gateway and its helpers root alone may look."""

import os

import pytest


def descriptors(pid: int) -> list[int]:
    """Return the numbers of its descriptors; the test is skipped where nobody may see them."""
    try:
        return [int(name) for name in os.listdir(f'/proc/{pid}/fd')]
    except PermissionError:
        pytest.skip('root alone sees what a gateway has open')


def count_descriptors(pid: int) -> int:
    """Return how many they are; 0 where nobody may see that."""
    try:
        return len(os.listdir(f'/proc/{pid}/fd'))
    except PermissionError:
        # Since Linux 6.2, and 0 before.
        return os.stat(f'/proc/{pid}/fd').st_size
