# SPDX-License-Identifier: Apache-2.0
"""A thread with a hidden node of its own, on which the robot is looked at for evidence."""

from collections.abc import Callable
import logging
import threading
import time
from typing import Any, NamedTuple, Protocol, TYPE_CHECKING

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node

from gateway_node.entities.values import NodeName
from gateway_node.evidence.errors import Unavailable
from gateway_node.ros.hidden_node import hidden_node
from gateway_node.ros.log_ring import LogRing

if TYPE_CHECKING:
    from gateway_node.ros.rosout import Rosout

_log = logging.getLogger(__name__)

LINGER_SEC = 2.0
"""That the node stays once nothing is wanted of it: somebody may look again soon."""
RETRY_SEC = 5.0
"""After which a node that could not be made is tried again."""
_TURN_SEC, _INTERVAL_SEC = 0.005, 0.05
"""Lines are read for so long at a stretch, and once in an interval: where a node floods
`/rosout`, that is what it costs."""
_LOOK_AGAIN_SEC = 0.02
"""Between two looks for an answer."""
_JOIN_SEC = 5.0


class Question(Protocol):
    """Something that is asked of the graph."""

    def answer(self, now: float) -> Any:
        """Return the answer, None where there is none yet; Unavailable where there will be none.

        Never waits.
        """

    def close(self) -> None:
        """Leave nothing behind on the node."""


class Asked(NamedTuple):
    """A question on its way."""

    make: Callable[[Node], Question]
    """Makes it on the node; Unavailable."""
    tell: Callable[[Any], None]
    """Takes the answer, or the Unavailable; called once."""
    is_over: Callable[[], bool]
    """Tells whether nobody waits for it any more."""


class WitnessThread:
    """Reads lines while they are wanted, answers questions, and ends by itself.

    What is public belongs to the event loop's thread.
    """

    def __init__(self, context: Context, name: NodeName, lines: LogRing) -> None:
        """`start` comes next."""
        self._context = context
        self._name = name
        self._lines = lines
        self._lock = threading.Lock()
        self._reads = False
        self._asked: list[Asked] = []
        self._open: list[tuple[Asked, Question]] = []
        self._stopping = False
        self._ended = False
        self._guard: GuardCondition | None = None
        self._woken = threading.Event()
        self._failures: set[type[Exception]] = set()
        self._thread = threading.Thread(target=self._run, name=name.name, daemon=True)

    def start(self) -> None:
        """Start; RuntimeError where there is no thread to be had."""
        self._thread.start()

    def want(self, *, lines: bool, ask: Asked | None = None) -> bool:
        """Read lines from now on, or read none; ask a question. Return False where the thread has
        ended, and nothing was taken."""
        with self._lock:
            if self._ended:
                return False
            self._reads = lines
            if ask is not None:
                self._asked.append(ask)
            self._woken.set()
            if self._guard is not None:
                self._guard.trigger()
        return True

    def stop(self) -> None:
        """End; returns when the node is gone."""
        with self._lock:
            self._stopping = True
            self._woken.set()
            if self._guard is not None:
                self._guard.trigger()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SEC)
        if self._thread.is_alive():
            _log.error('the thread of evidence did not end', extra={'waited_sec': _JOIN_SEC})

    def _run(self) -> None:
        while not self._has_ended(linger_until=0.0):
            try:
                with hidden_node(self._context, self._name) as (node, executor):
                    self._work(node, executor)
            except Exception as error:
                # Of a node that cannot be made, as where the middleware has no room any more.
                self._note('nothing can be seen of the robot', error)
                self._refuse(f'nothing can be seen of the robot: {error}')
                self._pause(RETRY_SEC)
        self._refuse('the gateway ends')

    def _work(self, node: Node, executor: SingleThreadedExecutor) -> None:
        # What it needs is loaded here, where nobody waits for it, and only where it is needed.
        from gateway_node.ros.rosout import Rosout

        with self._lock:
            self._guard = node.create_guard_condition(lambda: None)
        rosout: Rosout | None = None
        linger_until = time.monotonic() + LINGER_SEC
        try:
            while not self._has_ended(linger_until):
                if self._reads or self._asked or self._open:
                    linger_until = time.monotonic() + LINGER_SEC
                if self._reads and rosout is None:
                    rosout = Rosout(node, self._lines)
                elif not self._reads and rosout is not None:
                    rosout.close()
                    rosout = None
                self._answer(node)
                self._surviving(executor, rosout, linger_until)
        finally:
            with self._lock:
                self._guard = None
            for _, question in self._open:
                question.close()

    def _answer(self, node: Node) -> None:
        """Ask what is new, tell what is answered, let go of what nobody waits for."""
        with self._lock:
            asked, self._asked = self._asked, []
        for each in asked:
            try:
                self._open.append((each, each.make(node)))
            except Exception as error:
                each.tell(_unavailable(error))
        still_open = []
        for each, question in self._open:
            answer = None
            if not each.is_over():
                try:
                    answer = question.answer(time.monotonic())
                except Exception as error:
                    answer = _unavailable(error)
                if answer is None:
                    still_open.append((each, question))
                    continue
            question.close()
            each.tell(answer)
        self._open = still_open

    def _spin(
        self, executor: SingleThreadedExecutor, rosout: 'Rosout | None', linger_until: float
    ) -> None:
        """Take what comes, the lines of a moment together."""
        begun = time.monotonic()
        patience = _LOOK_AGAIN_SEC if self._open else max(0.0, linger_until - begun)
        taken = rosout.taken if rosout is not None else 0
        executor.spin_once(timeout_sec=patience)
        if rosout is None or rosout.taken == taken:
            return
        begun = time.monotonic()
        idle = 0
        # Every other time the executor says that it waited.
        while idle < 2 and time.monotonic() < begun + _TURN_SEC:
            taken = rosout.taken
            executor.spin_once(timeout_sec=0)
            idle = idle + 1 if rosout.taken == taken else 0
        self._pause(max(0.0, begun + _INTERVAL_SEC - time.monotonic()))

    def _pause(self, sec: float) -> None:
        """Wait, unless there is something new."""
        self._woken.clear()
        # Both are set before the event is: what came before it was cleared is seen here.
        if not self._stopping and not self._asked:
            self._woken.wait(sec)

    def _surviving(
        self, executor: SingleThreadedExecutor, rosout: 'Rosout | None', linger_until: float
    ) -> None:
        try:
            self._spin(executor, rosout, linger_until)
        except Exception as error:
            # One callback failed; the others have to go on, though not in a busy loop.
            self._note('what is on the robot could not be read', error)
            self._pause(_INTERVAL_SEC)

    def _has_ended(self, linger_until: float) -> bool:
        """Return whether there is nothing left to do; nothing is taken on then any more."""
        with self._lock:
            wanted = self._reads or self._asked or self._open
            idle = not wanted and time.monotonic() >= linger_until
            self._ended = self._stopping or idle
            return self._ended

    def _refuse(self, why: str) -> None:
        with self._lock:
            asked, self._asked = self._asked, []
        open_ones, self._open = self._open, []
        for each in (*asked, *(each for each, _ in open_ones)):
            each.tell(Unavailable(why))

    def _note(self, failure: str, error: Exception) -> None:
        if type(error) not in self._failures:
            self._failures.add(type(error))
            _log.error('%s: %r; this is logged once', failure, error)


def _unavailable(error: Exception) -> Unavailable:
    # The middleware refuses more than can be foreseen; the others have to go on.
    return error if isinstance(error, Unavailable) else Unavailable(f'it cannot be seen: {error}')
