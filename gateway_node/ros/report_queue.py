# SPDX-License-Identifier: Apache-2.0
"""What waits for the publisher: bounded, in order, no change of status lost while DDS hangs.

Knows nothing of rclpy. What does not fit stays in the log until the publisher has taken
everything that did.
"""

import asyncio
from collections.abc import Callable
import contextlib
import logging
import queue

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Event, STATUS_KINDS
from gateway_node.executions.following import Follower, OpenSummaries
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.values import Execution
from gateway_node.ros.status_reports import StatusReport
from gateway_node.side_tasks import log_failure

_log = logging.getLogger(__name__)

LIMIT = 1000
"""Reports that wait at most: some hundred kilobytes."""
LINGER_SEC = 0.005
"""How long reports wait for others, as to wake a thread costs more than to publish a report."""
_RETRY_SEC = 5.0
"""Between two attempts to read a log that is not to be had."""


class ReportQueue:
    """Leads from the event loop to the publisher.

    All but `get` and `missing` belong to the event loop, those two to the publisher. `wake` gets
    the publisher to look.
    """

    def __init__(
        self,
        *,
        report: Callable[[Execution], StatusReport],
        settle: Callable[[Execution], Execution | None],
        wake: Callable[[], None],
        limit: int = LIMIT,
    ) -> None:
        """`settle` is given each change of status and returns the progress that goes before it,
        or None."""
        self._report = report
        self._settle = settle
        self._wake = wake
        self._limit = limit
        self._reports: queue.Queue[StatusReport] = queue.Queue(limit)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ledger: Ledger | None = None
        self._follower: Follower | None = None
        self._open = OpenSummaries([])
        self._missing = False
        self._waking: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None

    async def follow(self, ledger: Ledger) -> None:
        """Queue the changes of status from now on; called once. StoreUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._ledger = ledger
        self._open = await ledger.open_summaries()
        self._follower = ledger.follow(on_news=self._queue_events)

    @property
    def empty(self) -> bool:
        """True where nothing waits, here or in the log."""
        return self._reports.empty() and not self._missing

    @property
    def missing(self) -> bool:
        """True where changes of status are still in the log alone."""
        return self._missing

    def put_progress(self, execution: Execution) -> None:
        """Queue a change of progress, where there is room and nothing goes before it."""
        if not self._missing and self._room():
            self._put(execution)

    def get(self) -> StatusReport | None:
        """Return the next report; None where there is none (yet)."""
        try:
            return self._reports.get_nowait()
        except queue.Empty:
            if self._missing and self._loop is not None:
                # RuntimeError: the loop is closed, which it can be at any moment.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._queue_events)
            return None

    def _room(self) -> int:
        return self._limit - self._reports.qsize()

    def _put(self, execution: Execution) -> None:
        self._reports.put_nowait(self._report(execution))
        assert self._loop is not None
        # A closed loop is the end of the gateway: what is queued is then published by whoever
        # stops the node.
        if self._waking is None and not self._loop.is_closed():
            self._waking = self._loop.call_later(LINGER_SEC, self._wake_up)

    def _wake_up(self) -> None:
        self._waking = None
        self._wake()

    def _queue_events(self) -> None:
        """Queue what there is room for; the rest of it later."""
        follower = self._follower
        assert follower is not None
        while self._room() and (told := follower.take_told()) is not None:
            self._queue_event(*told)
        if self._room() and follower.behind:
            self._read_on(follower)
        elif not self._missing and not follower.caught_up:
            _log.warning('status messages are held up: the ROS middleware takes none')
        self._missing = not follower.caught_up

    def _queue_event(self, event: Event, told: Execution | None) -> None:
        execution = self._open.apply(event, told)
        if execution is None or event.kind not in STATUS_KINDS:
            return
        progress = self._settle(execution)
        if progress is not None and self._room() > 1:
            self._put(progress)
        self._put(execution)

    def _read_on(self, follower: Follower) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(
                self._read(follower), name='read missed status messages'
            )
            self._reading.add_done_callback(log_failure)

    async def _read(self, follower: Follower) -> None:
        """Read the next events from the log; what it cannot tell is lost."""
        try:
            await follower.read_on()
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not isinstance(error, StoreUnusable):
                _log.warning('status messages that were held up cannot be read: %s', error)
                asyncio.get_running_loop().call_later(_RETRY_SEC, self._queue_events)
                return
            first, last = follower.skip()
            _log.exception('status messages are lost: sequences %d to %d', first + 1, last)
            assert self._ledger is not None
            with contextlib.suppress(StoreUnavailable):
                self._open = await self._ledger.open_summaries()
        # Once this task is over, for it may have to read again.
        asyncio.get_running_loop().call_soon(self._queue_events)
