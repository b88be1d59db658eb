# SPDX-License-Identifier: Apache-2.0
"""What is read of the robot: sources, each read once however many watch it.

Belongs to the event loop; the reading is done by two threads, each with a hidden node
(docs/decisions/067-values-of-the-robot.md).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
import itertools
import logging
import time

from rclpy.context import Context

from gateway_node.conditions.sources import (
    Presence,
    PublisherCount,
    Reading,
    RobotSource,
    TopicValue,
)
from gateway_node.entities.values import NodeName
from gateway_node.executions.listeners import Guard
from gateway_node.ros.readings import OnDiagnostics, Readings
from gateway_node.ros.values_thread import ValuesThread

_log = logging.getLogger(__name__)

_Tell = Callable[[Reading], None]


class RosRobotValues:
    """RobotValues on rclpy."""

    def __init__(
        self,
        context: Context,
        node: NodeName,
        max_rate_hz: float,
        on_diagnostics: OnDiagnostics,
        secret_topics: Collection[str] = (),
    ) -> None:
        """Read nothing yet; `node` is the gateway's own. `secret_topics` are never read."""
        self._context = context
        self._node = node
        self._interval_sec = 1 / max_rate_hz
        self._on_diagnostics = on_diagnostics
        self._secret_topics = frozenset(secret_topics)
        self._guard = Guard()
        self._watches: dict[RobotSource, dict[int, _Tell]] = {}
        self._begun: dict[RobotSource, int] = {}
        """For each watched source the number of the watch that began it."""
        self._known: dict[RobotSource, Reading] = {}
        self._numbers = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_asked = False
        self._closed = False
        self._threads: dict[bool, ValuesThread] = {}
        """By whether it samples."""

    def watch(self, source: RobotSource, tell: _Tell) -> Callable[[], None]:
        """Have `tell` called with each newer reading of a source; return what ends that."""
        if isinstance(source, TopicValue) and source.topic in self._secret_topics:
            fault = f'{source.topic} is not read: what it shows is for who listens there'
            refusal = Reading(at=time.monotonic(), fault=fault)
            return asyncio.get_running_loop().call_soon(self._guard.tell, tell, refusal).cancel
        number = next(self._numbers)
        watches = self._watches.setdefault(source, {})
        watches[number] = tell
        self._loop = asyncio.get_running_loop()
        if len(watches) == 1:
            self._begun[source] = number
            self._ask()
        elif source in self._known:
            self._loop.call_soon(self._tell_known, source, number, self._known[source])
        return lambda: self._end(source, number)

    def close(self) -> None:
        """Read nothing any more; returns when the nodes are gone, after some 10 ms."""
        self._closed = True
        for thread in self._threads.values():
            thread.stop()
        self._threads.clear()

    def _end(self, source: RobotSource, number: int) -> None:
        watches = self._watches.get(source, {})
        if watches.pop(number, None) is not None and not watches:
            del self._watches[source], self._begun[source]
            self._known.pop(source, None)
            self._ask()

    def _ask(self) -> None:
        """Have the threads asked for what is watched, once in a turn of the loop."""
        if self._loop is not None and not self._is_asked and not self._loop.is_closed():
            self._is_asked = True
            self._loop.call_soon(self._ask_threads)

    def _ask_threads(self) -> None:
        self._is_asked = False
        if self._closed:
            return
        topics = {
            source.topic
            for source in self._begun
            if isinstance(source, TopicValue) and source.every
        }
        for samples in (True, False):
            self._ask_thread(
                {
                    source: begun
                    for source, begun in self._begun.items()
                    if _is_sampled(source, topics) == samples
                },
                samples=samples,
            )

    def _ask_thread(self, sources: Mapping[RobotSource, int], *, samples: bool) -> None:
        thread = self._threads.get(samples)
        if thread is not None and thread.want(sources):
            return
        self._threads.pop(samples, None)
        if not sources:
            return
        thread = self._thread(samples=samples)
        thread.want(sources)
        try:
            thread.start()
        except RuntimeError as error:
            now = time.monotonic()
            for source in sources:
                self._told(source, Reading(at=now, fault=f'nothing can be read: {error}'))
            return
        self._threads[samples] = thread

    def _thread(self, *, samples: bool) -> ValuesThread:
        assert self._loop is not None
        name = f'_{self._node.name}_values' + ('' if samples else '_each')
        return ValuesThread(
            context=self._context,
            name=NodeName(namespace=self._node.namespace, name=name),
            readings=Readings(self._loop, self._told),
            interval_sec=self._interval_sec,
            samples=samples,
            on_diagnostics=self._on_diagnostics,
        )

    def _told(self, source: RobotSource, reading: Reading) -> None:
        watches = self._watches.get(source)
        if watches is None:
            return  # nobody watches it any more
        known = self._known.get(source)
        if known is not None and reading.at < known.at:
            return  # of the thread that read it before
        self._known[source] = reading
        for number, tell in list(watches.items()):
            if number in watches:
                self._guard.tell(tell, reading)

    def _tell_known(self, source: RobotSource, number: int, known: Reading) -> None:
        tell = self._watches.get(source, {}).get(number)
        if tell is not None and self._known.get(source) is known:
            self._guard.tell(tell, known)


def _is_sampled(source: RobotSource, topics: Collection[str]) -> bool:
    """Tell whether a source is read now and then only; of these topics each message is."""
    if isinstance(source, TopicValue):
        return source.topic not in topics
    return isinstance(source, Presence | PublisherCount)
