# SPDX-License-Identifier: Apache-2.0
"""A thread with a hidden node of its own, on which sources of the robot are read."""

from collections.abc import Iterator, Mapping
import contextlib
import logging
import threading
import time

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node

from gateway_node.conditions.sources import Reading, RobotSource, TopicValue
from gateway_node.entities.values import NodeName
from gateway_node.ros.hidden_node import hidden_node
from gateway_node.ros.readings import OnDiagnostics, Readings

_log = logging.getLogger(__name__)

LOOK_SEC = 0.5
"""Between two looks at the graph."""
LINGER_SEC = 2.0
"""That the node stays once nothing is wanted of it: somebody may look again soon."""
RETRY_SEC = 5.0
"""After which a node that could not be made is tried again."""
_JOIN_SEC = 5.0
_EACH_DEPTH = 1000
"""Messages of a topic that wait where each is read."""


class ValuesThread:
    """Reads sources as long as there are some, and ends by itself.

    `want` and `stop` belong to the event loop's thread, what is read to its own.
    """

    def __init__(
        self,
        *,
        context: Context,
        name: NodeName,
        readings: Readings,
        interval_sec: float,
        samples: bool,
        on_diagnostics: OnDiagnostics,
    ) -> None:
        """`start` comes next. What was read is sent on once in an interval.

        Where it `samples` it looks at messages once in an interval too, at the newest of each
        topic; else at each message when it comes.
        """
        self._context = context
        self._name = name
        self._readings = readings
        self._interval_sec = interval_sec
        self._samples = samples
        self._on_diagnostics = on_diagnostics
        self._lock = threading.Lock()
        self._wanted: Mapping[RobotSource, int] = {}
        self._is_new = False
        self._stopping = False
        self._ended = False
        self._guard: GuardCondition | None = None
        self._woken = threading.Event()
        self._seen: set[str] = set()
        self._sees = False
        self._failures: set[type[Exception]] = set()
        self._thread = threading.Thread(target=self._run, name=name.name, daemon=True)

    def start(self) -> None:
        """Start; RuntimeError where there is no thread to be had."""
        self._thread.start()

    def want(self, sources: Mapping[RobotSource, int]) -> bool:
        """Read these from now on, and no others; return False where the thread has ended.

        A source whose number changes is told anew, as if it had not been wanted in between.
        """
        with self._lock:
            if self._ended:
                return False
            self._wanted = sources
            self._is_new = True
            self._wake()
        return True

    def stop(self) -> None:
        """End; returns when the node is gone."""
        with self._lock:
            self._stopping = True
            self._wake()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SEC)
        if self._thread.is_alive():
            _log.error('a thread of values did not end', extra={'waited_sec': _JOIN_SEC})

    def _wake(self) -> None:
        self._woken.set()
        if self._guard is not None:
            self._guard.trigger()

    def _run(self) -> None:
        while not self._has_ended(linger_until=0.0):
            try:
                with self._node() as (node, executor):
                    self._read(node, executor)
            except Exception as error:
                # Of a node that cannot be made, as where the middleware has no room any more.
                self._fail(error)
                self._pause(RETRY_SEC)

    @contextlib.contextmanager
    def _node(self) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
        with hidden_node(self._context, self._name) as (node, executor):
            with self._lock:
                self._guard = node.create_guard_condition(lambda: None)
            try:
                yield node, executor
            finally:
                with self._lock:
                    self._guard = None

    def _read(self, node: Node, executor: SingleThreadedExecutor) -> None:
        # What it needs is loaded here, where nobody waits for it, and only where it is needed.
        from gateway_node.ros.feeds import Feeds

        feeds = Feeds(
            node,
            depth=1 if self._samples else _EACH_DEPTH,
            put=self._readings.put,
            on_message=self._on_message,
            on_diagnostics=self._on_diagnostics,
        )
        look_at = send_at = linger_until = 0.0
        self._is_new = True
        while not self._has_ended(linger_until):
            now = time.monotonic()
            wanted = self._new_wishes()
            if wanted is not None:
                feeds.want(wanted)
                linger_until = now + LINGER_SEC
            if now >= look_at:
                feeds.look(now)
                look_at = now + LOOK_SEC
            if self._readings.waits and now >= send_at:
                self._readings.send()
                send_at = now + self._interval_sec
            self._surviving(executor)
        feeds.close()

    def _surviving(self, executor: SingleThreadedExecutor) -> None:
        try:
            self._spin(executor)
        except Exception as error:
            # One callback failed; the others have to go on, though not in a busy loop.
            if type(error) not in self._failures:
                self._failures.add(type(error))
                _log.exception('a value of the robot could not be read; this is logged once')
            self._pause(self._interval_sec)

    def _spin(self, executor: SingleThreadedExecutor) -> None:
        """Take what comes next, or the newest of each topic at this moment.

        The executor gives each that is ready its turn only as long as it is called with the same
        timeout: with another one it begins anew, and a topic that floods goes before all others.
        """
        self._seen.clear()
        self._sees = False
        executor.spin_once(timeout_sec=self._interval_sec if self._readings.waits else LOOK_SEC)
        if not self._samples or not self._sees:
            return
        begun = time.monotonic()
        topics = {each.topic for each in self._wanted if isinstance(each, TopicValue)}
        while self._sees and not self._seen >= topics:
            self._sees = False
            # Else nobody else's turn would come before all are read.
            time.sleep(0)
            # Once all that were ready had their turn, it says that it waited.
            executor.spin_once(timeout_sec=0)
        self._readings.send()
        self._pause(max(0.0, begun + self._interval_sec - time.monotonic()))

    def _pause(self, sec: float) -> None:
        """Wait, unless there is something new."""
        self._woken.clear()
        # Both are set before the event is: what came before it was cleared is seen here.
        if not self._stopping and not self._is_new:
            self._woken.wait(sec)

    def _on_message(self, topic: str) -> None:
        self._sees = True
        self._seen.add(topic)

    def _new_wishes(self) -> Mapping[RobotSource, int] | None:
        if not self._is_new:
            return None
        with self._lock:
            self._is_new = False
            return self._wanted

    def _has_ended(self, linger_until: float) -> bool:
        """Return whether there is nothing left to do; nothing is taken on then any more."""
        if not self._stopping and (self._wanted or time.monotonic() < linger_until):
            return False
        with self._lock:
            self._ended = self._stopping or not (self._wanted or self._is_new)
            return self._ended

    def _fail(self, error: Exception) -> None:
        fault = f'nothing can be read of the robot: {error!r}'
        if type(error) not in self._failures:
            self._failures.add(type(error))
            _log.error('%s', fault)
        now = time.monotonic()
        self._readings.put({each: Reading(at=now, fault=fault) for each in self._wanted})
        self._readings.send()
