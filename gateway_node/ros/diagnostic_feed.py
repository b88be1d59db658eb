# SPDX-License-Identifier: Apache-2.0
"""`/diagnostics`, each message of it: several publish there, each of its own."""

from collections.abc import Callable, Iterable, Set
import time

from rclpy.node import Node

from gateway_node.conditions.sources import DiagnosticLevel, Reading, RobotSource
from gateway_node.ros.diagnostic_statuses import DiagnosticStatuses, Status
from gateway_node.ros.readings import Batch, OnDiagnostics
from gateway_node.ros.topic_reader import TopicReader

_TOPIC = '/diagnostics'
_TYPE = 'diagnostic_msgs/msg/DiagnosticArray'
_KEPT_MESSAGES = 100
_MAX_TEXT = 1000
"""Characters that are kept of a status's message."""


class DiagnosticFeed:
    """Puts the worst status of each glob where it is another, and why there is none."""

    def __init__(
        self, node: Node, put: Callable[[Batch], None], on_diagnostics: OnDiagnostics
    ) -> None:
        """Subscribe to nothing yet."""
        self._put = put
        self._on_diagnostics = on_diagnostics
        self._reader = TopicReader(node, _TOPIC, _KEPT_MESSAGES, self._take)
        self._statuses = DiagnosticStatuses()
        self._sources: dict[str, DiagnosticLevel] = {}
        self._told: dict[str, tuple[Status | None, str]] = {}
        """By glob, the status and the fault that were put last."""
        self._heard = False
        """Whether a message came since somebody publishes."""

    def want(self, sources: Set[RobotSource]) -> None:
        """Look for these globs."""
        self._sources = {each.name: each for each in sources if isinstance(each, DiagnosticLevel)}
        self._statuses.want(self._sources)
        self._told = {glob: told for glob, told in self._told.items() if glob in self._sources}
        if self._heard:
            self._tell(self._sources.keys() - self._told.keys(), time.monotonic())

    def look(self, now: float) -> None:
        """Follow the publishers."""
        self._reader.follow((_TYPE,))
        fault = self._reader.fault
        if not self._reader.publishers:
            self._heard = False
            self._statuses.clear()
            fault = fault or f'nobody publishes {_TOPIC}'
        elif self._reader.type_name not in (None, _TYPE):
            fault = f'{_TOPIC} is of type {self._reader.type_name}, not {_TYPE}'
        elif not self._heard:
            fault = fault or f'no message of {_TOPIC} has come yet'
        if fault:
            self._tell(self._sources, now, fault)

    def close(self) -> None:
        """Unsubscribe."""
        self._reader.close()

    def _take(self, content: bytes) -> None:
        if self._reader.type_name != _TYPE:
            return
        now = time.monotonic()
        try:
            message = self._reader.message(content)
        except ValueError as error:
            self._tell(self._sources, now, str(error))
            return
        self._heard = True
        self._on_diagnostics(message, now)
        told = self._statuses.take(
            Status(name=each.name, level=each.level[0], message=each.message[:_MAX_TEXT])
            for each in message.status
        )
        self._tell(told, now)

    def _tell(self, globs: Iterable[str], now: float, fault: str = '') -> None:
        batch: dict[RobotSource, Reading] = {}
        for glob in globs:
            worst = None if fault else self._statuses.worst(glob)
            if self._told.get(glob) != (worst, fault):
                self._told[glob] = (worst, fault)
                value = worst and worst.document()
                batch[self._sources[glob]] = Reading(at=now, value=value, fault=fault)
        if batch:
            self._put(batch)
