# SPDX-License-Identifier: Apache-2.0
"""Logging that holds nobody up: records wait in a bounded queue for a thread that writes them.

Whoever reads stdout or stderr may stop reading. rclpy writes its lines while it holds the GIL, so
that a thread alone would not do: a write that waits stops every thread. Knows nothing of rclpy.
"""

from collections.abc import Iterator
import contextlib
import logging
import logging.handlers
import math
import os
import queue
import select
import socket
import stat
import struct
import time

CAPACITY = 1000
"""Records that wait for the thread; more are dropped, and counted."""
FLUSH_SEC = 1.0
"""How long the end waits for somebody to read what is queued."""
_LOOK_SEC = 0.1
_SEND_SEC = 0.02
"""How long a line may wait for room in a socket, which nobody but its reader can make."""

_log = logging.getLogger(__name__)


class FieldsFormatter(logging.Formatter):
    """`script started: execution_id=exec_01 pid=4711`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (stdlib's name)
        """Return the message, its fields behind it."""
        fields = ' '.join(
            f'{name}={_field(value)}'
            for name, value in vars(record).items()
            if name not in _RECORD_ATTRIBUTES
        )
        return f'{record.message}: {fields}' if fields else record.message


_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {'message', 'asctime'}


def _field(value: object) -> str:
    text = str(value)
    return text if text.split() == [text] else repr(text)


class StderrHandler(logging.Handler):
    """Writes records to stderr at once, for the time without a loop; drops what does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter('[%(levelname)s] [%(name)s]: %(message)s'))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        line = f'{self.format(record)}\n'.encode(errors='backslashreplace')
        # Python's own stream would keep what does not fit, and fail over it at the exit.
        with contextlib.suppress(OSError):
            os.write(2, line)


class _Records(logging.handlers.QueueHandler):
    """Takes records as fast as they come, and drops those for which there is no room."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        super().__init__(self.waiting)
        self.setFormatter(FieldsFormatter())
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.waiting.qsize() < CAPACITY:
            self.waiting.put(record)
        else:
            self._dropped += 1

    def take_dropped(self) -> int:
        """Return how many records were dropped since the last call."""
        self.acquire()
        try:
            dropped, self._dropped = self._dropped, 0
        finally:
            self.release()
        return dropped


class _Writer(logging.handlers.QueueListener):
    """The thread that hands records to their handler whenever `descriptor` takes a line."""

    def __init__(self, records: _Records, output: logging.Handler, descriptor: int) -> None:
        super().__init__(records.waiting, output)
        self._records = records
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._give_up_at = math.inf

    def stop(self) -> None:
        self._give_up_at = time.monotonic() + FLUSH_SEC
        super().stop()

    def handle(self, record: logging.LogRecord) -> None:
        if not self._wait_for_room():
            return
        super().handle(record)
        dropped = self._records.take_dropped()
        if dropped:
            told = f'the log was not read: dropped_records={dropped}'
            super().handle(
                logging.makeLogRecord(
                    {'msg': told, 'levelname': 'WARNING', 'levelno': logging.WARNING}
                )
            )

    def _wait_for_room(self) -> bool:
        """Return whether a line can be written; False once the end has waited long enough."""
        while True:
            left_sec = min(_LOOK_SEC, max(0.0, self._give_up_at - time.monotonic()))
            if self._room.poll(left_sec * 1000):
                return True
            if not left_sec:
                return False


@contextlib.contextmanager
def queued_logging(output: logging.Handler, descriptor: int) -> Iterator[None]:
    """Send stdlib logging to `output`, through a queue, in place of the root logger's handlers.

    `output` is called on a thread of its own, and waits until `descriptor`, which it writes to,
    takes a line. At the end what is queued is written, for FLUSH_SEC at most.
    """
    root = logging.getLogger()
    handlers = root.handlers
    records = _Records()
    writer = _Writer(records, output, descriptor)
    writer.start()
    root.handlers = [records]
    try:
        yield
    finally:
        root.handlers = handlers
        writer.stop()


def unblock_output() -> None:
    """See to it that no write to stdout or stderr waits; what does not fit at once is lost.

    O_NONBLOCK belongs to the open file description, which other processes share (man 2 open): a
    pipe or a terminal is opened anew. A socket, as of systemd's journal, cannot be; its sends get
    a time limit (man 7 socket, SO_SNDTIMEO). Files do not wait for readers.
    """
    for descriptor in (1, 2):
        try:
            _unblock(descriptor)
        except OSError as error:
            # It is closed, or another user's: our own lines still wait for room on their thread.
            _log.debug('descriptor %d may block: %s', descriptor, error.strerror)


def _unblock(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(descriptor)) as shared:
            limit = struct.pack('@ll', 0, int(_SEND_SEC * 1_000_000))
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    elif not stat.S_ISREG(mode):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        opened = os.open(f'/proc/self/fd/{descriptor}', flags)
        os.dup2(opened, descriptor)
        os.close(opened)
