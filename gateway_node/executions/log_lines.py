# SPDX-License-Identifier: Apache-2.0
"""A line in the gateway's log for each start, stop and end."""

import logging
from typing import Any

from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

_SENTENCES = {
    EventKind.EXECUTION_ACCEPTED: 'start accepted',
    EventKind.EXECUTION_STOP_ACCEPTED: 'stop accepted',
    EventKind.EXECUTION_ENDED: 'execution ended',
    EventKind.SCHEDULE_MADE: 'schedule made',
    EventKind.SCHEDULE_STARTED: 'schedule started',
    EventKind.SCHEDULE_REMOVED: 'schedule removed',
}
_ENDS = frozenset({EventKind.EXECUTION_ENDED, EventKind.SCHEDULE_REMOVED})
_HAVE_REASONS = _ENDS | {EventKind.EXECUTION_STOP_ACCEPTED}


class LogLines:
    """Listens to the log of what happened and writes what a person reads along."""

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Write the line of an event, where it has one."""
        sentence = _SENTENCES.get(event.kind)
        if sentence is None or execution is None:
            return
        # A schedule that stays starts an execution that has a line of its own.
        if event.kind is not EventKind.SCHEDULE_STARTED or not execution.is_schedule:
            _log.info(sentence, extra=_fields(event, execution))

    def on_progress(self, execution: Execution) -> None:
        """Write nothing."""


def _fields(event: Event, execution: Execution) -> dict[str, Any]:
    fields: dict[str, Any] = {
        'execution': execution.id,
        'entity': execution.entity.path,
        'script': execution.script_id,
        'actor': event.actor,
    }
    if event.kind in _ENDS:
        fields |= {'status': execution.status.value, 'duration_ms': execution.duration_ms}
    if event.kind in _HAVE_REASONS:
        fields['cause'] = event.cause
    return {name: value for name, value in fields.items() if value is not None}
