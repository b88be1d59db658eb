# SPDX-License-Identifier: Apache-2.0
"""A line in the gateway's log for each start, stop and end.

Lines wait a little, past the answer to whoever asked, and are written together: the thread that
writes them keeps the loop from running meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
import logging

from gateway_node.executions.events import Event, EventKind, TRIGGER_KINDS
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

LINGER_SEC = 0.2
"""How long lines wait."""
AT_ONCE = 50
"""Lines that are written before others on the loop have a turn: some milliseconds."""

_SENTENCES = {
    EventKind.EXECUTION_ACCEPTED: 'start accepted',
    EventKind.EXECUTION_STOP_ACCEPTED: 'stop accepted',
    EventKind.EXECUTION_ENDED: 'execution ended',
    EventKind.SCHEDULE_MADE: 'schedule made',
    EventKind.SCHEDULE_STARTED: 'schedule started',
    EventKind.SCHEDULE_REMOVED: 'schedule removed',
    EventKind.LINE_PAUSED: 'line paused',
    EventKind.LINE_RESUMED: 'line resumed',
    EventKind.LOCK_ACQUIRED: 'lock acquired',
    EventKind.LOCK_RELEASED: 'lock released',
    EventKind.LOCK_BROKEN: 'lock broken',
    EventKind.LOCK_EXPIRED: 'lock expired',
    EventKind.INSTANCE_CREATED: 'instance created',
    EventKind.INSTANCE_REPLACED: 'instance replaced',
    EventKind.INSTANCE_DELETED: 'instance deleted',
    EventKind.INSTANCE_ENABLED: 'instance enabled',
    EventKind.INSTANCE_DISABLED: 'instance disabled',
    EventKind.TRIGGER_FIRED: 'trigger fired',
    EventKind.TRIGGER_DROPPED: 'firing dropped',
    EventKind.TRIGGER_DAMPED: 'trigger damped',
}
_ENDS = frozenset({EventKind.EXECUTION_ENDED, EventKind.SCHEDULE_REMOVED})
_OF_TRIGGERS = ('trigger', 'setting', 'firing', 'reason', 'count')
"""What a line says of the changes that events of triggers tell."""
_HAVE_CAUSES = _ENDS | {EventKind.EXECUTION_STOP_ACCEPTED}


class LogLines:
    """Listens to the log of what happened and writes what a person reads along."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, dict[str, object]]] = deque()

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take the line of an event, where it has one."""
        sentence = _SENTENCES.get(event.kind)
        if sentence is None:
            return
        if execution is None:
            self._write_later(sentence, dict(_other_fields(event)))
            return
        if event.kind is EventKind.SCHEDULE_STARTED and execution.is_schedule:
            return  # what it starts has a line of its own
        self._write_later(sentence, dict(_fields(event, execution)))

    def _write_later(self, sentence: str, fields: dict[str, object]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(LINGER_SEC, self._write_some)
        self._waiting.append((sentence, fields))

    def _write_some(self) -> None:
        self._write(AT_ONCE)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._write_some)

    def write(self) -> None:
        """Write what waits."""
        self._write(len(self._waiting))

    def _write(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            sentence, fields = self._waiting.popleft()
            _log.info(sentence, extra=fields)


def _other_fields(event: Event) -> Iterator[tuple[str, object]]:
    yield 'subject', event.subject
    yield 'actor', event.actor
    if event.kind in TRIGGER_KINDS:
        yield from ((name, event.changes[name]) for name in _OF_TRIGGERS if name in event.changes)


def _fields(event: Event, execution: Execution) -> Iterator[tuple[str, object]]:
    yield 'execution', execution.id
    yield 'entity', execution.entity.path
    yield 'script', execution.script_id
    if execution.instance is not None:
        yield 'instance', execution.instance
    yield 'actor', event.actor
    if event.kind in _ENDS:
        yield 'status', execution.status.value
        if execution.duration_ms is not None:
            yield 'duration_ms', execution.duration_ms
    if event.kind in _HAVE_CAUSES and event.cause is not None:
        yield 'cause', event.cause
