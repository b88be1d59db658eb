# SPDX-License-Identifier: Apache-2.0
"""The callbacks that wait to be sent, and which is next: a dead receiver blocks no other."""

from collections import Counter
import heapq

from gateway_node.callbacks.allowed import destination_of
from gateway_node.callbacks.values import Callback

_Receiver = tuple[str, int]

MAX_AT_ONCE = 8
MAX_AT_ONCE_FOR_RECEIVER = 2


class WaitingCallbacks:
    """Holds callbacks whose executions have ended, until they are taken to be sent.

    Each receiver, host and port, has a line of its own, in the order in which they are due.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, Callback] = {}
        self._lines: dict[_Receiver, list[tuple[float, str]]] = {}
        """By receiver, when which execution's is due. What was replaced or dropped stays in until
        it comes up."""
        self._taken: dict[str, _Receiver] = {}
        """The receivers of those that are being sent, by the execution's id."""
        self._taken_of: Counter[_Receiver] = Counter()

    def __len__(self) -> int:
        return len(self._callbacks)

    @property
    def taken(self) -> int:
        """How many are being sent."""
        return len(self._taken)

    def is_taken(self, execution_id: str) -> bool:
        """Tell whether the callback of an execution is being sent."""
        return execution_id in self._taken

    def add(self, callback: Callback) -> None:
        """Hold one that has a moment at which it is due, in place of what is held of it."""
        assert callback.next_sec is not None
        self._callbacks[callback.execution_id] = callback
        line = self._lines.setdefault(_receiver(callback.url), [])
        heapq.heappush(line, (callback.next_sec, callback.execution_id))

    def drop(self, execution_id: str) -> None:
        """Hold nothing of an execution any more."""
        self._callbacks.pop(execution_id, None)

    def take(self, now_sec: float) -> Callback | None:
        """Return the one that is due for longest and may be sent now; None where there is none."""
        first = self._first()
        if first is None or first[0] > now_sec:
            return None
        _, execution_id, receiver = first
        heapq.heappop(self._lines[receiver])
        self._taken[execution_id] = receiver
        self._taken_of[receiver] += 1
        return self._callbacks.pop(execution_id)

    def give_back(self, execution_id: str) -> None:
        """Take note that one that was taken has been sent, or was not."""
        receiver = self._taken.pop(execution_id)
        self._taken_of[receiver] -= 1
        if not self._taken_of[receiver]:
            del self._taken_of[receiver]

    def next_due_sec(self) -> float | None:
        """Return when the next one is due that may be sent beside those that are being sent."""
        first = self._first()
        return None if first is None else first[0]

    def _first(self) -> tuple[float, str, _Receiver] | None:
        """Return the first of all lines that may be sent: when it is due, its id and receiver."""
        if len(self._taken) >= MAX_AT_ONCE:
            return None
        heads = [
            (*head, receiver)
            for receiver in tuple(self._lines)
            if self._taken_of[receiver] < MAX_AT_ONCE_FOR_RECEIVER
            and (head := self._head(receiver)) is not None
        ]
        return min(heads, default=None)

    def _head(self, receiver: _Receiver) -> tuple[float, str] | None:
        """Return the first of a receiver's line, without what is not held any more."""
        line = self._lines[receiver]
        while line:
            due_sec, execution_id = line[0]
            held = self._callbacks.get(execution_id)
            if held is not None and held.next_sec == due_sec:
                return line[0]
            heapq.heappop(line)
        del self._lines[receiver]
        return None


def _receiver(url: str) -> _Receiver:
    """Return host and port of a URL, the same ones however they are written."""
    destination = destination_of(url)
    return str(destination.address or destination.host), destination.port
