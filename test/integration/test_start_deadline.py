# SPDX-License-Identifier: Apache-2.0
"""The start's deadline, with hangs in processes of their own."""

import subprocess
import sys

HANG_WITH_THE_GIL = """
import ctypes
from gateway_node.ros.start_deadline import start_deadline
def create_node():
    ctypes.PyDLL(None).sleep(30)  # PyDLL keeps the GIL
with start_deadline(0.5):
    create_node()
print('came through')
"""
IN_TIME = """
import logging, time
from gateway_node.ros.start_deadline import start_deadline
logging.basicConfig(level=logging.INFO)
with start_deadline(0.2):
    pass
time.sleep(0.5)
print('came through')
"""


def ended(program: str) -> 'subprocess.CompletedProcess[str]':
    """Execute `program` to its end."""
    return subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=20, check=False
    )


def test_a_hang_that_holds_the_gil_ends_the_process_with_a_message() -> None:
    """Past the deadline the process ends non-zero, and the stacks on stderr name what hung."""
    process = ended(HANG_WITH_THE_GIL)
    assert process.returncode == 1
    assert 'Timeout (0:00:00.500000)!' in process.stderr
    assert 'in create_node' in process.stderr
    assert process.stdout == ''


def test_a_start_in_time_is_left_alone() -> None:
    """After the body the deadline is off, and not a word of it was said."""
    process = ended(IN_TIME)
    assert (process.returncode, process.stdout, process.stderr) == (0, 'came through\n', '')
