# SPDX-License-Identifier: Apache-2.0
"""Following an execution by asking again and again."""

from collections.abc import Callable, Iterator, Mapping
import time
from typing import Any

from gateway_node.client.queries import target
from gateway_node.client.values import Dropped, Event, Execution, Line, Progress, Status

_SHORTEST_SEC = 0.02
_LONGEST_SEC = 1.0
_GROWTH = 1.2
"""So the end is heard of late by a fifth of what it took, at most."""


def pauses_between() -> Iterator[float]:
    """Go through the pauses between two questions: what has just begun is asked for soon."""
    pause = _SHORTEST_SEC
    while True:
        yield pause
        pause = min(_GROWTH * pause, _LONGEST_SEC)


def polled(execution_id: str, ask: Callable[[str], Mapping[str, Any]]) -> Iterator[Event]:
    """Go through what an execution does; `ask` answers what is at a path below the base."""
    status: Status | None = None
    said: Progress | None = None
    last = 0
    for pause in pauses_between():
        execution = Execution.of(ask(target('executions', execution_id)))
        if execution.status is not status and not execution.has_ended:
            status = execution.status
            yield execution
        progress = Progress(percent=execution.progress or 0, message=execution.progress_message)
        if execution.progress is not None and progress != said:
            said = progress
            yield progress
        for output in _output(execution_id, last, ask):
            last = output['last']
            yield from _in_order(output)
        if execution.has_ended:
            yield execution
            return
        time.sleep(pause)


def _output(
    execution_id: str, last: int, ask: Callable[[str], Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Go through the pages of what is there of an output behind a line."""
    while True:
        output = ask(
            target('executions', execution_id, 'output', limit=1000, number_exclusive=last)
        )
        yield output
        if 'next' not in output or output['last'] == last:
            return
        last = output['last']


def _in_order(output: Mapping[str, Any]) -> Iterator[Dropped | Line]:
    dropped = [Dropped(first=each['first'], last=each['last']) for each in output['dropped']]
    for line in map(Line.of, output['items']):
        while dropped and dropped[0].first < line.number:
            yield dropped.pop(0)
        yield line
    yield from dropped
