# SPDX-License-Identifier: Apache-2.0
"""What keeps executions and the log of what happened, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.child_counts import ChildCounts
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.executions.events import Change, Cursor, Event, Happening, LogBounds
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.idempotency import IdempotencyKey, KeptKey
from gateway_node.executions.pages import (
    FoundNumberedPage,
    FoundPage,
    KeysetPage,
    NumberedPage,
)
from gateway_node.executions.statistics import EndCounts
from gateway_node.executions.values import Execution, ExecutionStatus


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Which ended executions are kept; 0 sets no bound. Open ones are kept whatever it says.

    Ages are seconds that the gateway was up since the execution ended, so that a jump of the
    wall clock expires nothing.
    """

    max_executions: int
    max_age_sec: float
    max_failed_age_sec: float
    """For failed executions, in place of `max_age_sec`."""
    max_disk_bytes: int = 0
    """Of the disk, for all that ended executions keep: those that failed go after all others, as
    long as they take no more than half of it, and what was not measured stays."""


@dataclass(frozen=True, kw_only=True)
class LogPolicy:
    """Which events are kept; 0 sets no bound. Ages are counted as those of executions are.

    For a follower that holds its place, twice as many are kept, and for twice as long.
    """

    max_events: int
    max_age_sec: float


class EventLog(Protocol):
    """The one log of what happened; all raise StoreUnavailable where it cannot be read.

    It ends with the newest event that `ExecutionStore` returned: what is written and not told yet
    is not in it.
    """

    @property
    def end(self) -> Cursor:
        """The place behind the newest event."""

    async def bounds(self) -> LogBounds:
        """Return where the log begins and ends."""

    async def events(self, after: Cursor, *, limit: int) -> tuple[Event, ...]:
        """Return up to `limit` events behind a place in the log, in sequence.

        Raises:
            LogBegins: the log does not reach back to it.
        """

    async def newest(self, before: int | None = None, *, limit: int) -> tuple[Event, ...]:
        """Return the last `limit` events that are kept, in sequence; with sequences below
        `before` where that is given."""

    async def history(
        self, subjects: Collection[str], *, until: int | None = None, limit: int
    ) -> Mapping[str, tuple[Event, ...]]:
        """Return the last `limit` events that are kept of each of these executions, in sequence,
        from its first one on where there are not more; up to a sequence where that is given.

        What it costs grows with how long ago the oldest of them began.
        """

    async def hold(self, name: str, after: Cursor) -> None:
        """Keep the events behind a place for a follower of that name, as long as it does not
        stay away for too long.

        Raises:
            LogBegins: the log does not reach back to it.
        """

    async def held(self, name: str) -> Cursor | None:
        """Return the place from which on events are kept for a follower; None where there is
        none, or it stayed away for too long."""

    async def release(self, name: str) -> None:
        """Keep nothing for a follower any more."""

    async def prune(self, policy: LogPolicy) -> None:
        """Remove the oldest events that `policy` does not keep and no follower holds."""


class IdempotencyKeys(Protocol):
    """The keys under which clients asked for something; all raise StoreUnavailable."""

    async def get(self, key: IdempotencyKey) -> KeptKey | None:
        """Return what is known of a key, whatever was asked for; None for a new one."""

    async def reserve(self, key: IdempotencyKey, script_id: str) -> None:
        """Note the id that a script is going to have which is made under this key.

        It is made once the log tells of its upload.
        """

    async def prune(self) -> None:
        """Remove the keys that need not be kept; see `idempotency.py`."""


class ExecutionStore(Protocol):
    """Keeps executions, and logs what happens in the same commit.

    A change is kept when the call returns. All raise StoreUnavailable where it cannot be.
    """

    @property
    def log(self) -> EventLog:
        """The log of what happened."""

    @property
    def end_counts(self) -> EndCounts:
        """The ends of all executions that it ever kept, counted."""

    @property
    def keys(self) -> IdempotencyKeys:
        """The keys under which clients asked for something."""

    @property
    def may_have_forgotten(self) -> bool:
        """True where a store that could not be read is kept for a person: it may know executions
        that this one does not."""

    def up_sec(self) -> float:
        """Return the seconds that the gateways on this store were up, all lives together."""

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Keep all of `news`, or none; return the event of each.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
        """

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""

    async def find(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[Execution]:
        """Return a page of the executions that are wanted, newest first.

        They come with what their summary tells of them.
        """

    async def find_texts(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[str]:
        """Return the same page as texts, as `documents.to_document` writes them."""

    async def find_numbered(
        self, wanted: ExecutionFilter, page: NumberedPage
    ) -> FoundNumberedPage[str]:
        """Return a page of the executions that are wanted, in its order, as texts, and how many
        there are."""

    async def get_with_children(self, execution_id: str) -> tuple[Execution, ChildCounts] | None:
        """Return the execution as `get` does, with its children as `count_children` does."""

    async def count_children(
        self, parent_id: str, *, schedule_id: str | None = None
    ) -> ChildCounts:
        """Count the executions that name a parent, but for the schedule that came with it."""

    async def remove(
        self, execution_ids: Sequence[str], *, actor: Actor, cause: str
    ) -> tuple[Event, ...]:
        """Remove ended executions, all or none; return a tombstone of each that was known.

        Raises:
            ExecutionNotDeletable: one of them is open.
        """

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, schedules included, oldest first."""

    async def paused_lines(self) -> frozenset[EntityRef | None]:
        """Return the entities whose part of the line is held, as the log told; None stands for
        all of it."""

    async def locks(self) -> tuple[EntityLock, ...]:
        """Return the locks on entities, as the log told, those that are over included."""

    async def told_scripts(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the summary of each script as the log last told it, by its subject."""

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids of ended executions that `policy` does not keep, oldest
        first."""

    async def unmeasured(self, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids of ended executions of which nobody has measured how much of
        the disk they take, in order."""

    async def measure(self, kept_bytes: Mapping[str, int]) -> None:
        """Note how much of the disk is taken by what is kept of these beside their records."""

    async def versions_named(self, script_id: str) -> Mapping[str, int]:
        """Return how many executions name each version of a script, for those that any does.

        It costs the same however many executions are kept.
        """

    async def check(self) -> None:
        """Return where it can be read and, as far as is known, written; cheap."""

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""

    async def entities(self) -> frozenset[EntityRef]:
        """Return the entities of all executions."""

    async def shrink(self) -> None:
        """Give back some of the room that removed executions took."""

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""

    async def close(self) -> None:
        """Close the store; it is not used afterwards."""
