# SPDX-License-Identifier: Apache-2.0
"""The status topic: each change of an execution as a diagnostic_msgs/msg/DiagnosticArray.

Changes come in on the event loop and go out on the publisher's thread; between the two lies a
queue of immutable reports.
"""

import asyncio
from collections.abc import Callable
import logging
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from gateway_node.executions.ledger import Ledger
from gateway_node.executions.values import Execution
from gateway_node.ros.report_queue import ReportQueue
from gateway_node.ros.status_reports import ProgressCoalescer, Reporter, StatusReport

_log = logging.getLogger(__name__)

PROGRESS_INTERVAL_SEC = 0.1
KEPT_MESSAGES = 200
_ACKNOWLEDGE_SEC = 0.5


class StatusTopic:
    """Publishes changes of executions; a ProgressListener, and a follower of the log.

    `follow`, `on_progress` and `flush` belong to the event loop, `publish_queued` and
    `wait_for_acknowledgements` to the publisher. `wake` gets the publisher to look at the queue.
    """

    def __init__(
        self,
        *,
        node: Node,
        topic: str,
        reporter: Reporter,
        wake: Callable[[], None],
    ) -> None:
        """Advertise `topic`."""
        self._node = node
        self._coalescer = ProgressCoalescer(PROGRESS_INTERVAL_SEC)
        self._reports = ReportQueue(
            report=reporter.report, settle=self._coalescer.settle, wake=wake
        )
        self._flush_timer: asyncio.TimerHandle | None = None
        self._message = _Message()
        self._publisher = node.create_publisher(
            DiagnosticArray,
            topic,
            QoSProfile(
                reliability=ReliabilityPolicy.RELIABLE,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
                history=HistoryPolicy.KEEP_LAST,
                depth=KEPT_MESSAGES,
            ),
        )

    async def follow(self, ledger: Ledger) -> None:
        """Tell of everything that happens from now on; no change of status is ever left out.

        Called once. StoreUnavailable.
        """
        await self._reports.follow(ledger)
        ledger.add_progress_listener(self)

    def on_progress(self, execution: Execution) -> None:
        """Queue a change of progress, now or when its turn comes."""
        if self._coalescer.offer(execution, time.monotonic()):
            self._reports.put_progress(execution)
        else:
            self._arm()

    def flush(self) -> None:
        """Queue what waits for its turn."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        for execution in self._coalescer.take_all():
            self._reports.put_progress(execution)

    def idle(self) -> bool:
        """Return whether nothing is queued or waits for its turn."""
        return self._reports.empty and self._coalescer.next_due() is None

    def publish_queued(self) -> None:
        """Publish what is queued, in order."""
        while (report := self._reports.get()) is not None:
            try:
                self._publisher.publish(self._message.telling(report, self._node.get_clock()))
            except Exception as error:
                # The next message may pass; one that cannot be sent must not end the thread.
                _log.error(
                    'status of an execution not published',
                    extra={'path': report.name, 'status': report.message, 'error': error},
                )

    def wait_for_acknowledgements(self) -> None:
        """Give subscribers a moment to get the last messages: they go with the publisher."""
        if self._reports.missing:
            _log.warning('the last status messages were held up and are lost')
        try:
            acknowledged = self._publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_SEC))
        except RuntimeError as error:  # not every rmw can tell
            _log.debug('acknowledgements are not known', extra={'error': error})
            return
        if not acknowledged:
            _log.warning('a subscriber of the status topic may have missed the last messages')

    def _arm(self) -> None:
        due = self._coalescer.next_due()
        if due is None or self._flush_timer is not None:
            return
        delay = max(0.0, due - time.monotonic())
        self._flush_timer = asyncio.get_running_loop().call_later(delay, self._tell_due)

    def _tell_due(self) -> None:
        self._flush_timer = None
        for execution in self._coalescer.take_due(time.monotonic()):
            self._reports.put_progress(execution)
        self._arm()


class _Message:
    """What is published: one message, filled anew each time, as publishing it copies it.

    Making its objects would cost more than publishing them.
    """

    def __init__(self) -> None:
        self._values: list[KeyValue] = []
        self._status = DiagnosticStatus()
        self._array = DiagnosticArray()
        self._array.status = [self._status]

    def telling(self, report: StatusReport, clock: Clock) -> DiagnosticArray:
        """Return the message that tells a report now; the next report is told by the same one."""
        self._array.header.stamp = clock.now().to_msg()
        status = self._status
        status.level = bytes([report.level])
        status.name = report.name
        status.message = report.message
        status.hardware_id = report.hardware_id
        if len(self._values) != len(report.values):
            self._values = status.values = [KeyValue() for _ in report.values]
        for field, (key, value) in zip(self._values, report.values, strict=True):
            field.key = key
            field.value = value
        return self._array
