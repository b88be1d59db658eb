# SPDX-License-Identifier: Apache-2.0
"""An execution store in memory.

It keeps to the same contract as the SQLite one: one suite of tests is put to both.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
import functools
from typing import Any

from fakes.end_counts import InMemoryEndCounts
from fakes.event_log import InMemoryEventLog
from fakes.executions import as_listed
from fakes.idempotency_keys import InMemoryIdempotencyKeys
from fakes.instance_store import InMemoryInstanceStore
from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.child_counts import ChildCounts
from gateway_node.executions.documents import (
    changed_fields,
    evolved,
    summary_of,
    to_document,
    to_parameters,
)
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    StoreUnavailable,
)
from gateway_node.executions.events import (
    Change,
    Event,
    EventKind,
    execution_subject,
    Happening,
    line_entity,
    SCRIPT_KINDS,
)
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.ids import number_of
from gateway_node.executions.matching import matches
from gateway_node.executions.pages import (
    FoundNumberedPage,
    FoundPage,
    KeysetPage,
    NumberedPage,
    Order,
)
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionStatus


class InMemoryExecutionStore:
    """An `ExecutionStore` that forgets everything with the process."""

    def __init__(self, clock: Clock) -> None:
        self.unavailable: str | None = None
        """While set, every call raises StoreUnavailable with this message."""
        self.may_have_forgotten = False
        self._clock = clock
        self._executions: dict[str, Execution] = {}
        self._ended_at: dict[str, float] = {}
        self._kept_bytes: dict[str, int] = {}
        """Of those that were measured."""
        self._told_scripts: dict[str, dict[str, Any]] = {}
        self._paused_lines: set[EntityRef | None] = set()
        self._locks: dict[str, EntityLock] = {}
        self._log = InMemoryEventLog(clock, self._check_available)
        self._end_counts = InMemoryEndCounts(self._check_available)
        self._keys = InMemoryIdempotencyKeys(clock, self._check_available, self._is_open)
        self.instance_store = InMemoryInstanceStore(self._check_available, self.up_sec)
        """What it keeps of instances, as SQLite's two stores are of one database."""
        self._last_id: str | None = None

    @property
    def log(self) -> InMemoryEventLog:
        """The log of what happened."""
        return self._log

    @property
    def end_counts(self) -> InMemoryEndCounts:
        """The ends of all executions that it ever kept, counted."""
        return self._end_counts

    @property
    def keys(self) -> InMemoryIdempotencyKeys:
        """The keys under which clients asked for something."""
        return self._keys

    def ended_ids(self) -> list[str]:
        """Return the ids of all that have ended, oldest first."""
        return sorted(self._ended_at)

    def up_sec(self) -> float:
        """Return the seconds of the clock."""
        return self._clock.monotonic()

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Keep all of `news`, or none; return the event of each.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
            ValueError: the id of a new execution is taken.
        """
        self._check_available()
        known = set(self._executions)
        for change in news:
            if isinstance(change, Happening):
                continue
            execution_id = change.execution.id
            if change.new and execution_id in known:
                raise ValueError(f'{execution_id} is in the store already')
            if not change.new and execution_id not in known:
                raise ExecutionNotFound(execution_id)
            known.add(execution_id)
        return tuple(map(self._record_one, news))

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""
        self._check_available()
        return self._executions.get(execution_id)

    async def find(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[Execution]:
        """Return a page of the executions that are wanted, newest first."""
        self._check_available()
        upwards, reference = page.limit > 0, page.reference
        found = [
            execution
            for execution in self._by_id(reverse=not upwards)
            if matches(wanted, execution)
            and (
                reference is None
                or (execution.id > reference if upwards else execution.id < reference)
            )
            and (page.below is None or number_of(execution.id) < page.below)
        ]
        chosen = found[: abs(page.limit)]
        more = chosen[-1].id if len(found) > len(chosen) else None
        newest_first = reversed(chosen) if upwards else chosen
        return FoundPage(executions=tuple(map(as_listed, newest_first)), more=more)

    async def find_texts(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[str]:
        """Return the same page as texts."""
        found = await self.find(wanted, page)
        texts = [to_document(self._executions[each.id]) for each in found.executions]
        return FoundPage(executions=tuple(texts), more=found.more)

    async def find_numbered(
        self, wanted: ExecutionFilter, page: NumberedPage
    ) -> FoundNumberedPage[str]:
        """Return a page of the executions that are wanted, in its order, as texts."""
        self._check_available()
        found = [each for each in self._executions.values() if matches(wanted, each)]
        found.sort(key=functools.partial(_sort_key, page.order), reverse=True)
        first = (page.number - 1) * page.size
        chosen = found[first : first + page.size]
        return FoundNumberedPage(executions=tuple(map(to_document, chosen)), total=len(found))

    async def get_with_children(self, execution_id: str) -> tuple[Execution, ChildCounts] | None:
        """Return the execution with its children, counted; or None."""
        execution = await self.get(execution_id)
        if execution is None:
            return None
        return execution, await self.count_children(execution_id, schedule_id=execution.schedule)

    async def count_children(
        self, parent_id: str, *, schedule_id: str | None = None
    ) -> ChildCounts:
        """Count the executions that name a parent, but for the schedule that came with it."""
        self._check_available()
        children = [
            each
            for each in self._executions.values()
            if each.parent == parent_id and each.id != schedule_id
        ]
        return ChildCounts(
            by_status=Counter(each.status for each in children),
            by_verdict=Counter(each.verdict for each in children if each.verdict is not None),
        )

    async def remove(
        self, execution_ids: Sequence[str], *, actor: Actor, cause: str
    ) -> tuple[Event, ...]:
        """Remove ended executions, all or none; return a tombstone of each that was known.

        Raises:
            ExecutionNotDeletable: one of them is open.
        """
        self._check_available()
        known = [self._executions[each] for each in execution_ids if each in self._executions]
        for execution in known:
            if execution.is_open:
                raise ExecutionNotDeletable(execution.id, execution.status)
        return tuple(self._remove(execution, actor, cause) for execution in known)

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, oldest first."""
        self._check_available()
        return tuple(execution for execution in self._by_id() if execution.is_open)

    async def paused_lines(self) -> frozenset[EntityRef | None]:
        """Return the entities whose part of the line is held; None stands for all of it."""
        self._check_available()
        return frozenset(self._paused_lines)

    async def locks(self) -> tuple[EntityLock, ...]:
        """Return the locks on entities, those that are over included."""
        self._check_available()
        return tuple(self._locks.values())

    async def told_scripts(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the log last told of each script, by its subject."""
        self._check_available()
        return dict(self._told_scripts)

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids that `policy` does not keep, the longest ended first."""
        self._check_available()
        now = self._clock.monotonic()
        ended = sorted(self._ended_at, key=lambda each: (self._ended_at[each], each))
        surplus = len(ended) - policy.max_executions if policy.max_executions else 0
        expired = []
        for rank, execution_id in enumerate(ended):
            failed = self._has_failed(execution_id)
            max_age = policy.max_failed_age_sec if failed else policy.max_age_sec
            too_old = max_age > 0 and now - self._ended_at[execution_id] > max_age
            if rank < surplus or too_old:
                expired.append(execution_id)
        if policy.max_disk_bytes:
            expired += self._over_the_disk([each for each in ended if each not in expired], policy)
        return tuple(expired[:limit])

    async def unmeasured(self, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids of ended executions that nobody has measured, in order."""
        self._check_available()
        return tuple(sorted(self._ended_at.keys() - self._kept_bytes.keys())[:limit])

    async def measure(self, kept_bytes: Mapping[str, int]) -> None:
        """Note how much of the disk is taken by what is kept of these beside their records."""
        self._check_available()
        for execution_id in kept_bytes.keys() & self._ended_at.keys():
            self._measure(self._executions[execution_id], kept_bytes[execution_id])

    async def versions_named(self, script_id: str) -> Mapping[str, int]:
        """Return how many executions name each version of a script."""
        self._check_available()
        return Counter(
            each.script_version
            for each in self._executions.values()
            if each.script_id == script_id
        )

    async def check(self) -> None:
        """Return where it is there."""
        self._check_available()

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        self._check_available()
        counts = dict.fromkeys(ExecutionStatus, 0)
        for execution in self._executions.values():
            counts[execution.status] += 1
        return counts

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""
        self._check_available()
        return self._last_id

    async def entities(self) -> frozenset[EntityRef]:
        """Return the entities of all executions."""
        self._check_available()
        return frozenset(execution.entity for execution in self._executions.values())

    async def shrink(self) -> None:
        """Do nothing: there is nothing to give back."""
        self._check_available()

    async def close(self) -> None:
        """Refuse everything from now on."""
        self.unavailable = 'the store is closed'

    def _check_available(self) -> None:
        if self.unavailable is not None:
            raise StoreUnavailable(self.unavailable)

    def _record_one(self, each: Change | Happening) -> Event:
        event = self._tell(each) if isinstance(each, Happening) else self._keep(each)
        self.instance_store.note(each, event)
        return event

    def _keep(self, change: Change) -> Event:
        execution = change.execution
        before = self._executions.get(execution.id)
        self._executions[execution.id] = execution
        self._end_counts.note(execution)
        if change.new:
            self._last_id = max(self._last_id or '', execution.id)
        if change.key is not None:
            self._keys.keep(change.key, execution.id)
        if not execution.is_open:
            self._ended_at.setdefault(execution.id, self._clock.monotonic())
            if change.kept_bytes is not None:
                self._measure(execution, change.kept_bytes)
        summary = summary_of(execution)
        changes = changed_fields(summary_of(before), summary) if before else summary
        return self._log.append(
            Happening(
                kind=change.kind,
                subject=_subject(execution),
                actor=change.actor,
                cause=change.cause,
                changes=changes,
            )
        )

    def _remove(self, execution: Execution, actor: Actor, cause: str) -> Event:
        del self._executions[execution.id], self._ended_at[execution.id]
        self._end_counts.forget(execution)
        self._kept_bytes.pop(execution.id, None)
        kind = EventKind.EXECUTION_DELETED
        return self._log.append(
            Happening(kind=kind, subject=_subject(execution), actor=actor, cause=cause)
        )

    def _tell(self, happening: Happening) -> Event:
        if happening.key is not None:
            self._keys.keep(happening.key, happening.subject.rpartition('/')[2])
        if happening.kind is EventKind.SCRIPT_UPLOADED:
            self._keys.note_made(happening.subject.rpartition('/')[2])
        if happening.kind in SCRIPT_KINDS:
            told = self._told_scripts.pop(happening.subject, {})
            if happening.kind is not EventKind.SCRIPT_DELETED:
                self._told_scripts[happening.subject] = evolved(told, happening.changes)
        elif happening.kind is EventKind.LINE_PAUSED:
            self._paused_lines.add(line_entity(happening.subject))
        elif happening.kind is EventKind.LINE_RESUMED:
            self._paused_lines.discard(line_entity(happening.subject))
        elif happening.kind in (EventKind.LOCK_ACQUIRED, EventKind.LOCK_EXTENDED):
            assert happening.lock is not None
            self._locks[happening.lock.id] = happening.lock
        elif happening.lock is not None:
            del self._locks[happening.lock.id]
        return self._log.append(happening)

    def _measure(self, execution: Execution, kept_bytes: int) -> None:
        documents = len(to_document(execution)) + len(to_parameters(execution))
        self._kept_bytes[execution.id] = kept_bytes + documents

    def _over_the_disk(self, ended: list[str], policy: RetentionPolicy) -> list[str]:
        """Return the first of these without which the others have room: failed ones last, but
        first those without which the failed ones take half of it."""
        measured = [each for each in ended if each in self._kept_bytes]
        surplus = sum(self._kept_bytes.values()) - policy.max_disk_bytes
        surplus -= sum(self._kept_bytes.get(each, 0) for each in self._ended_at.keys() - {*ended})
        failed = [each for each in measured if self._has_failed(each)]
        failed_surplus = sum(map(self._kept_bytes.__getitem__, failed)) - policy.max_disk_bytes / 2
        beyond_half = self._first_bytes(failed, failed_surplus)
        measured.sort(key=lambda each: (each not in beyond_half, self._has_failed(each)))
        return self._first_bytes(measured, surplus)

    def _first_bytes(self, measured: list[str], surplus: float) -> list[str]:
        found = []
        for each in measured:
            if surplus > 0:
                found.append(each)
                surplus -= self._kept_bytes[each]
        return found

    def _is_open(self, execution_id: str) -> bool:
        execution = self._executions.get(execution_id)
        return execution is not None and execution.is_open

    def _has_failed(self, execution_id: str) -> bool:
        return self._executions[execution_id].status is ExecutionStatus.FAILED

    def _by_id(self, *, reverse: bool = False) -> list[Execution]:
        return [self._executions[each] for each in sorted(self._executions, reverse=reverse)]


def _subject(execution: Execution) -> str:
    return execution_subject(execution.entity, execution.script_id, execution.id)


def _sort_key(order: Order, execution: Execution) -> tuple[Any, ...]:
    """Return what grows with an execution's place in a numbered page's order, read backwards."""
    value: Any = {
        Order.ID: execution.id,
        Order.CREATED: execution.created_at,
        Order.COMPLETED: execution.completed_at,
        Order.DURATION: execution.duration_ms,
    }[order]
    return (False, execution.id) if value is None else (True, value, execution.id)
