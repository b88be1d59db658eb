# SPDX-License-Identifier: Apache-2.0
"""What streams tell, as values that many of them share: each is written once for all."""

from dataclasses import dataclass, field
import datetime
import enum
from typing import NamedTuple

from gateway_node.executions.documents import Summary
from gateway_node.executions.ended_details import Detail
from gateway_node.executions.events import EventKind, LogBounds
from gateway_node.executions.output_lines import DroppedLines, OutputLine
from gateway_node.executions.told_events import ToldEvent
from gateway_node.executions.values import Execution


class Place(NamedTuple):
    """Where a stream stands: behind an event of the log, and on one execution behind a line."""

    epoch: str
    sequence: int
    line: int | None = None
    """None in a stream of more than one execution."""
    over: bool = False
    """Whether nothing comes any more: the execution has ended, and all of it was told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class News:
    """One thing that streams tell."""

    written: dict[object, bytes] = field(default_factory=dict, repr=False)
    """What outlets made of it, by what that depends on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EventNews(News):
    """An event of the log."""

    told: ToldEvent
    execution: Execution | None = None
    """As it was told with the event; None where it was read in the log, or is deleted, or where
    the log alone tells what it is like."""

    @property
    def is_to_be_read(self) -> bool:
        """Whether it has to be read in the log what the event left of an execution."""
        event = self.told.event
        is_deleted = event.kind is EventKind.EXECUTION_DELETED
        return event.is_of_execution and self.execution is None and not is_deleted


@dataclass(frozen=True, kw_only=True, eq=False)
class StateNews(News):
    """What an execution is like, where the log does not tell how it came to that."""

    summary: Summary
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgressNews(News):
    """How far a script has come."""

    execution: Execution
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class LineNews(News):
    """A line of a script's output."""

    line: OutputLine
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class DroppedNews(News):
    """Lines of which nothing is kept."""

    lines: DroppedLines
    at: datetime.datetime


class ResetReason(enum.Enum):
    """Why a stream cannot go on from where its reader was."""

    EXPIRED = 'expired'
    """The log does not reach back to there any more."""
    OTHER_LOG = 'other_log'
    """The place is in another history: the database is a new one, or was set back."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ResetNews(News):
    """The stream goes on from the log's end: what its reader knows may be wrong."""

    reason: ResetReason
    bounds: LogBounds
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultNews(News):
    """An execution that has ended, as it is shown."""

    detail: Detail
    is_outdated: bool
    has_content: bool
    """Whether the file of its script is there as it ran."""
    at: datetime.datetime
