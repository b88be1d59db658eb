# SPDX-License-Identifier: Apache-2.0
"""Pages of an execution's output: the lines behind a number, or those before one."""

from dataclasses import dataclass
import datetime

from gateway_node.executions.output_lines import (
    DroppedLines,
    OutputLine,
    OutputStream,
    UnfinishedLine,
)
from gateway_node.executions.runner_ports import Outputs
from gateway_node.executions.values import Execution


@dataclass(frozen=True, kw_only=True)
class LinesWanted:
    """Which lines a page is to have."""

    limit: int
    """Positive: the first ones behind the reference, or of all. Negative: the last ones before
    it, or of all. Never 0."""
    reference: int | None
    """The number of a line, which need not be kept."""
    stream: OutputStream | None
    """None: both."""


@dataclass(frozen=True, kw_only=True)
class OutputPage:
    """Lines that are kept, oldest first."""

    lines: tuple[OutputLine, ...]
    dropped: tuple[DroppedLines, ...]
    unfinished: tuple[UnfinishedLine, ...]
    last: int
    """The line behind which newer ones come."""
    next: int | None
    """The reference of the page behind this one, or before it, as it was asked for; None where
    there is none. Of a script that is not over there is one behind: it may be empty yet."""


async def read_page(outputs: Outputs, execution: Execution, wanted: LinesWanted) -> OutputPage:
    """Read a page of what is kept at the moment; of what is not on record as running, nothing.

    What it says already has no time yet: the start is not known.
    """
    if execution.is_open and execution.started_at is None:
        last = wanted.reference or 0 if wanted.limit > 0 else 0
        following = last if wanted.limit > 0 else None
        return OutputPage(lines=(), dropped=(), unfinished=(), last=last, next=following)
    if wanted.limit > 0:
        found = await outputs.lines(
            execution.id, after=wanted.reference or 0, limit=wanted.limit, stream=wanted.stream
        )
        # That it is over may not be on record yet.
        following = None if found.complete and not execution.is_open else found.last
    else:
        found = await outputs.newest_lines(
            execution.id, before=wanted.reference, limit=-wanted.limit, stream=wanted.stream
        )
        following = found.lines[0].number if found.lines and found.earlier else None
    return OutputPage(
        lines=found.lines,
        dropped=found.dropped,
        unfinished=found.unfinished,
        last=found.last,
        next=following,
    )


def line_moment(line: OutputLine | UnfinishedLine, execution: Execution) -> datetime.datetime:
    """Return when a line was said: never after the end, unless the clock was set back."""
    begin, end = execution.started_at or execution.created_at, execution.completed_at
    moment = begin + datetime.timedelta(milliseconds=line.elapsed_ms)
    # That it runs is heard of with a delay, and so is its end.
    return moment if end is None or end < begin else min(moment, end)
