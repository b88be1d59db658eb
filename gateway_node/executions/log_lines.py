# SPDX-License-Identifier: Apache-2.0
"""A line in the gateway's log for each start, stop and end.

ROS's logger takes a quarter of a millisecond for a message, and the loop cannot run meanwhile. So
lines wait a little, past the answer to whoever asked, and those that come close together are one
message.
"""

import asyncio
from collections.abc import Iterator
import logging

from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

LINGER_SEC = 0.2
"""How long lines wait for others."""
_MESSAGE_BYTES = 3500
"""Of one message: a pipe that has room takes 4096 bytes as a whole (man 7 pipe, PIPE_BUF)."""

_SENTENCES = {
    EventKind.EXECUTION_ACCEPTED: 'start accepted',
    EventKind.EXECUTION_STOP_ACCEPTED: 'stop accepted',
    EventKind.EXECUTION_ENDED: 'execution ended',
    EventKind.SCHEDULE_MADE: 'schedule made',
    EventKind.SCHEDULE_STARTED: 'schedule started',
    EventKind.SCHEDULE_REMOVED: 'schedule removed',
}
_ENDS = frozenset({EventKind.EXECUTION_ENDED, EventKind.SCHEDULE_REMOVED})
_HAVE_CAUSES = _ENDS | {EventKind.EXECUTION_STOP_ACCEPTED}


class LogLines:
    """Listens to the log of what happened and writes what a person reads along."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take the line of an event, where it has one."""
        sentence = _SENTENCES.get(event.kind)
        if sentence is None or execution is None:
            return
        if event.kind is EventKind.SCHEDULE_STARTED and execution.is_schedule:
            return  # what it starts has a line of its own
        if not self._waiting:
            asyncio.get_running_loop().call_later(LINGER_SEC, self.write)
        fields = ' '.join(f'{name}={value}' for name, value in _fields(event, execution))
        self._waiting.append(f'{sentence}: {fields}')

    def on_progress(self, execution: Execution) -> None:
        """Take nothing."""

    def write(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        for message in _messages(lines):
            _log.info('%s', message)


def _fields(event: Event, execution: Execution) -> Iterator[tuple[str, object]]:
    yield 'execution', execution.id
    yield 'entity', execution.entity.path
    yield 'script', execution.script_id
    yield 'actor', event.actor
    if event.kind in _ENDS:
        yield 'status', execution.status.value
        if execution.duration_ms is not None:
            yield 'duration_ms', execution.duration_ms
    if event.kind in _HAVE_CAUSES and event.cause is not None:
        yield 'cause', event.cause


def _messages(lines: list[str]) -> Iterator[str]:
    """Return as few messages as hold all lines."""
    message = ''
    for line in lines:
        if message and len(message) + len(line) >= _MESSAGE_BYTES:
            yield message
            message = ''
        message = f'{message}\n{line}' if message else line
    if message:
        yield message
