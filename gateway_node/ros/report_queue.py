# SPDX-License-Identifier: Apache-2.0
"""What waits for the ROS thread: bounded, in order, no change of status lost while DDS hangs.

Knows nothing of rclpy. What did not fit is read again from the log of transitions, once the ROS
thread has taken everything that did.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import contextlib
import logging
import queue

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Event
from gateway_node.executions.values import Execution
from gateway_node.ros.status_reports import StatusReport
from gateway_node.side_tasks import log_failure

_log = logging.getLogger(__name__)

LIMIT = 1000
"""Reports that wait at most: some hundred kilobytes."""
_RETRY_SEC = 5.0
"""Between two attempts to read a log that is not to be had."""

Replay = Callable[[int, int], Awaitable[Sequence[tuple[Execution, Event]]]]
"""Returns changes of status after a sequence, in order, so many at most; StoreUnavailable."""


class ReportQueue:
    """Leads from the event loop to the ROS thread.

    All but `get` and `missing` belong to the event loop, those two to the ROS thread. `wake` gets
    the ROS thread to look.
    """

    def __init__(
        self,
        *,
        report: Callable[[Execution], StatusReport],
        replay: Replay,
        wake: Callable[[], None],
        limit: int = LIMIT,
    ) -> None:
        self._report = report
        self._replay = replay
        self._wake = wake
        self._limit = limit
        self._reports: queue.Queue[StatusReport] = queue.Queue(limit)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._missing_from: int | None = None
        """The sequence from which on changes of status have to be read from the log."""
        self._missing_to = 0
        self._replayed = 0
        """Up to here they were, which may be before their listeners are told."""
        self._reading: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """True where nothing waits, here or in the log."""
        return self._reports.empty() and not self.missing

    @property
    def missing(self) -> bool:
        """True where changes of status are still to be read from the log."""
        return self._missing_from is not None

    def put(self, execution: Execution, event: Event) -> None:
        """Queue a change of status, or have it read from the log in its turn."""
        sequence = event.sequence
        if sequence <= self._replayed:
            return
        if self._missing_from is None and self._put(execution):
            return
        if self._missing_from is None:
            _log.warning('status messages are held up: the ROS middleware takes none')
        self._missing_from = min(self._missing_from or sequence, sequence)
        self._missing_to = max(self._missing_to, sequence)
        self._loop = asyncio.get_running_loop()

    def put_progress(self, execution: Execution) -> None:
        """Queue a change of progress, where there is room and nothing goes before it."""
        if self._missing_from is None:
            self._put(execution)

    def get(self) -> StatusReport | None:
        """Return the next report; None where there is none (yet)."""
        try:
            return self._reports.get_nowait()
        except queue.Empty:
            if self.missing and self._loop is not None:
                # RuntimeError: the loop is closed, which it can be at any moment.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._read_on)
            return None

    def _put(self, execution: Execution) -> bool:
        try:
            self._reports.put_nowait(self._report(execution))
        except queue.Full:
            return False
        self._wake()
        return True

    def _read_on(self) -> None:
        if self._missing_from is not None and (self._reading is None or self._reading.done()):
            self._reading = asyncio.get_running_loop().create_task(
                self._read(self._missing_from), name='read missed status messages'
            )
            self._reading.add_done_callback(log_failure)

    async def _read(self, sequence: int) -> None:
        """Queue the next changes from the log; what it cannot tell is lost."""
        # Of removed executions the log says nothing: what is not there any more was read too.
        read_to = known_to = self._missing_to
        try:
            changes = await self._replay(sequence - 1, self._limit)
            if changes:
                read_to = self._put_read(changes)
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not isinstance(error, StoreUnusable):
                _log.warning('status messages that were held up cannot be read: %s', error)
                asyncio.get_running_loop().call_later(_RETRY_SEC, self._read_on)
                return
            first = max(sequence, self._replayed + 1)
            _log.exception('status messages are lost: sequences %d to %d', first, known_to)
        if read_to >= self._missing_to:
            self._missing_from = None
        else:
            self._missing_from = max(sequence, read_to + 1)
            self._wake()

    def _put_read(self, changes: Sequence[tuple[Execution, Event]]) -> int:
        """Queue what there is room for; return the last sequence that was."""
        for execution, event in changes:
            if not self._put(execution):
                break
            self._replayed = event.sequence
        return self._replayed
