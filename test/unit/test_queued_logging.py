# SPDX-License-Identifier: Apache-2.0
"""Logging while nobody reads the log: nobody is held up, and what is lost is told."""

from collections.abc import Callable, Iterator
import contextlib
import fcntl
import logging
import os
import select
import socket
import subprocess
import sys
import time

import pytest

from gateway_node.ros import queued_logging as module
from gateway_node.ros.queued_logging import CAPACITY, FLUSH_SEC, queued_logging

DEADLINE_SEC = 30.0
SLACK = 5


class Lines(logging.Handler):
    """Writes each record to a descriptor, as rclpy does: it would block where there is no room."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        os.write(self._descriptor, f'{record.levelname} {self.format(record)}\n'.encode())


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a small pipe."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4 * 4096)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def fill(writing: int) -> None:
    """Leave no room in a pipe."""
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b'.' * 512)
    os.set_blocking(writing, True)


def read_until(reading: int, condition: Callable[[str], bool]) -> str:
    """Read what comes until it meets the condition; return it."""
    deadline, came = time.monotonic() + DEADLINE_SEC, b''
    while not condition(came.decode()):
        ready, _, _ = select.select([reading], [], [], max(0, deadline - time.monotonic()))
        assert ready, came
        came += os.read(reading, 65536)
    return came.decode()


def logger() -> logging.Logger:
    """Return a logger whose records go as the root's handlers say."""
    made = logging.getLogger('gateway_node.test')
    made.setLevel(logging.INFO)
    return made


def test_records_come_in_order_with_their_fields_and_tracebacks(pipe: tuple[int, int]) -> None:
    """`extra` stands behind the message; the end of the block waits until all is written."""
    reading, writing = pipe
    with queued_logging(Lines(writing), writing):
        logger().info('script %s', 'started', extra={'pid': 47, 'why': 'a b'})
        try:
            raise ValueError('broken')
        except ValueError:
            logger().exception('it failed')
    told = read_until(reading, lambda text: 'broken' in text).splitlines()
    assert told[0] == "INFO script started: pid=47 why='a b'"
    assert told[1:3] == ['ERROR it failed', 'Traceback (most recent call last):']
    assert told[-1] == 'ValueError: broken'


def test_a_log_that_nobody_reads_holds_nobody_up_and_drops_are_told(
    pipe: tuple[int, int],
) -> None:
    """A bounded number waits; once there is room they come, and the count of the others."""
    reading, writing = pipe
    fill(writing)
    with queued_logging(Lines(writing), writing):
        for number in range(CAPACITY + 50):
            logger().info('record %d', number)
        told = read_until(reading, lambda text: f'record {CAPACITY - 1}\n' in text)
    dropped = [line for line in told.splitlines() if 'dropped_records' in line]
    # The thread may have taken one record off the queue before the last one came.
    assert dropped in (
        ['WARNING the log was not read: dropped_records=50'],
        ['WARNING the log was not read: dropped_records=49'],
    )


def test_the_end_does_not_wait_for_a_log_that_nobody_reads(pipe: tuple[int, int]) -> None:
    """What cannot be written in time is given up."""
    _, writing = pipe
    fill(writing)
    begun = time.monotonic()
    with queued_logging(Lines(writing), writing):
        for number in range(CAPACITY):
            logger().info('record %d', number)
    assert FLUSH_SEC <= time.monotonic() - begun < FLUSH_SEC * SLACK


FLOODS = """
import os
from gateway_node.ros.queued_logging import unblock_output
unblock_output()
for _ in range(200):
    try:
        os.write(2, b'x' * 4096)
    except BlockingIOError:
        break
else:
    os._exit(1)
"""


@pytest.mark.parametrize('kind', ['pipe', 'socket', 'terminal'])
def test_no_write_to_stderr_waits_and_who_shares_it_is_left_alone(kind: str) -> None:
    """Pipes, terminals and sockets; the descriptor of the parent blocks as before."""
    if kind == 'pipe':
        reading, writing = os.pipe()
    elif kind == 'terminal':
        reading, writing = os.openpty()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    try:
        floods = [sys.executable, '-c', FLOODS]
        assert (
            subprocess.run(floods, stderr=writing, timeout=DEADLINE_SEC, check=False).returncode
            == 0
        )
        assert os.get_blocking(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_streams_that_are_closed_or_files_are_left_alone() -> None:
    """A gateway without stdout or stderr starts all the same."""
    code = f'import {module.__name__} as m; m.unblock_output()'
    closed = ['sh', '-c', 'exec "$0" -c "$1" >&- 2>&-', sys.executable, code]
    assert subprocess.run(closed, timeout=DEADLINE_SEC, check=False).returncode == 0
