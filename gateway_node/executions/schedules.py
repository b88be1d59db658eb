# SPDX-License-Identifier: Apache-2.0
"""Schedules: executions in `prepared` that wait for a start of the gateway."""

import asyncio
from collections.abc import Iterable, Sequence
import contextlib
from dataclasses import dataclass
import logging

from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import (
    NotStartable,
    ScheduleLimitReached,
    StoreUnavailable,
    StoreUnusable,
)
from gateway_node.executions.events import Change, EventKind
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.preparations import Preparations
from gateway_node.executions.start_checks import candidate_of, StartChecks
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Failure,
    FailureReason,
    ScheduledStart,
    Trigger,
    TriggerType,
)
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)

GROUP = 100
"""Schedules that are started with one commit, before others get a turn."""
_RETRY_SEC = 1.0
"""Between attempts to record what the store does not take at the moment."""


@dataclass(frozen=True, kw_only=True)
class RestartSettings:
    """What the configuration says about restarts."""

    min_interval_sec: float
    """Seconds between two starts of one schedule, so that a crash loop does not become its own
    cause."""
    entity_timeout_sec: float
    """Seconds that an execution waits for its entity to come online."""
    start_prepared: bool
    """Whether executions that were accepted and never started are started after all."""
    max_schedules: int = 0
    """Schedules that may wait; 0 for no limit."""


class Schedules:
    """Owns the schedules that wait; those that were started have become active executions."""

    def __init__(
        self,
        *,
        checks: StartChecks,
        active: ActiveExecutions,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        settings: RestartSettings,
    ) -> None:
        self._checks = checks
        self._active = active
        self._preparations = Preparations(
            checks=checks, active=active, entity_timeout_sec=settings.entity_timeout_sec
        )
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._waiting: dict[str, Execution] = {}
        self._due: list[str] = []
        self._reserved: set[str] = set()
        self._ending = asyncio.Event()
        # One change of the schedules at a time: none takes back what another recorded.
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()

    def add(self, schedules: Iterable[Execution]) -> None:
        """Take recorded schedules."""
        for schedule in schedules:
            self._waiting[schedule.id] = schedule
            self._reserved.discard(schedule.id)

    def add_due(self, schedules: Iterable[Execution]) -> None:
        """Take schedules that waited for this start of the gateway."""
        self.add(schedules)
        self._due = sorted(self._waiting)

    def reserve(self, schedule_id: str) -> None:
        """Take a place for a schedule that is to be recorded; `add` or `give_back` follows.

        Reserving again is harmless. ScheduleLimitReached where there is no place.
        """
        limit = self._settings.max_schedules
        others = len(self._waiting) + self._active.waiting_schedules()
        others += len(self._reserved - {schedule_id})
        if limit and others >= limit:
            raise ScheduleLimitReached(limit)
        self._reserved.add(schedule_id)

    def give_back(self, schedule_id: str) -> None:
        """Free the place of a schedule that is not recorded; harmless where it has none."""
        self._reserved.discard(schedule_id)

    def get(self, execution_id: str) -> Execution | None:
        """Return a schedule that waits, or None."""
        return self._waiting.get(execution_id)

    def scheduled_start(self) -> ScheduledStart:
        """Return what a schedule notes of a start that is made now."""
        return ScheduledStart(at=self._clock.now(), boot_time=self._clock.boot_time())

    async def start_group(self, directory: EntityDirectory) -> None:
        """Start the executions of the first schedules that are due, with one commit.

        They wait for their entities then. StoreUnavailable, and nothing was started.
        """
        group = self._due[:GROUP]
        async with self._changes:
            await self._start(group, directory)
        del self._due[: len(group)]

    async def start_rest(self, directory: EntityDirectory) -> None:
        """Start the executions of all schedules that are due, group by group.

        What the store does not take is tried again; with `close`, and where the store takes
        nothing any more, what is left waits for the next start of the gateway.
        """
        while self._due and not self._ending.is_set():
            try:
                await self.start_group(directory)
            except StoreUnavailable as error:
                _log.error('schedules cannot be started: %s', error)
                if isinstance(error, StoreUnusable):
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_SEC):
                        await self._ending.wait()

    def close(self) -> None:
        """Start nothing more."""
        self._ending.set()

    async def wait_quiet(self) -> None:
        """Wait until no change of a schedule is under way."""
        async with self._changes:
            pass

    def start_unstarted(self, executions: Iterable[Execution], directory: EntityDirectory) -> None:
        """Start what an earlier gateway accepted and did not start."""
        for execution in executions:
            self._active.enter_waiting(execution, self._preparations.of(execution, directory))

    async def schedule(self, execution: Execution, actor: Actor) -> None:
        """Record a new schedule that has a place and take it.

        Once begun this goes on where it is cancelled.

        Raises:
            ScriptNotFound: its script was deleted meanwhile; nothing was recorded.
            StoreUnavailable: as its name says; nothing was recorded.
        """

        async def schedule() -> None:
            try:
                async with self._changes:
                    await self._checks.script(candidate_of(execution))
                    await self._ledger.begin(execution, actor=actor)
                    self.add([execution])
            finally:
                self.give_back(execution.id)

        await self._to_the_end.run(f'record the schedule {execution.id}', schedule())

    async def stop(self, execution_id: str, trigger: Trigger, actor: Actor) -> Execution | None:
        """End a schedule that waits because a client wants so; return it as it is then.

        None where it does not wait any more. StoreUnavailable where the end cannot be recorded,
        and then it goes on waiting. Once begun this goes on where it is cancelled.
        """

        async def stop() -> Execution | None:
            async with self._changes:
                schedule = self._waiting.get(execution_id)
                if schedule is None:
                    return None
                ended = self._ended(
                    schedule,
                    ExecutionStatus.TERMINATED,
                    cause='stop',
                    actor=actor,
                    stop_trigger=trigger,
                )
                await self._record([ended])
                return ended.execution

        return await self._to_the_end.run(f'end the schedule {execution_id}', stop())

    async def script_deleted(self, entity: EntityRef, script_id: str, actor: Actor) -> None:
        """End the schedules of a script that `actor` deleted."""
        await self._to_the_end.run(
            f'end the schedules of {script_id}',
            self._fail_without_script(entity, script_id, actor),
        )

    async def _start(self, due: Sequence[str], directory: EntityDirectory) -> None:
        changes: list[Change] = []
        starting: list[Execution] = []
        for schedule in (self._waiting[each] for each in due if each in self._waiting):
            assert schedule.as_schedule is not None
            if schedule.execution_type is ExecutionType.ONCE_ON_RESTART:
                starting.append(schedule)
                continue
            version = await self._checks.present_version(schedule.entity, schedule.script_id)
            interval_sec = self._settings.min_interval_sec
            if schedule.as_schedule.starts_too_soon(self._clock.boot_time(), interval_sec):
                _log.warning('%s starts nothing: too soon after its last start', schedule.id)
                skipped = schedule.evolve(as_schedule=schedule.as_schedule.skipped())
                changes.append(
                    Change(execution=skipped, kind=EventKind.SCHEDULE_SKIPPED, actor=GATEWAY)
                )
            elif version is None:
                changes.append(self._without_script(schedule, GATEWAY))
            else:
                execution = self._execution_of(schedule, version)
                starting.append(execution)
                changes.append(Change.first(execution, GATEWAY))
                as_schedule = schedule.as_schedule.started(self.scheduled_start())
                noted = schedule.evolve(as_schedule=as_schedule)
                changes.append(
                    Change(execution=noted, kind=EventKind.SCHEDULE_STARTED, actor=GATEWAY)
                )
        await self._record(changes)
        for execution in starting:
            self._waiting.pop(execution.id, None)
            self._active.enter_waiting(execution, self._preparations.of(execution, directory))

    def _execution_of(self, schedule: Execution, version: str) -> Execution:
        return Execution(
            id=self._ids.next(self._clock.now()),
            entity=schedule.entity,
            script_id=schedule.script_id,
            script_version=version,
            execution_type=schedule.execution_type,
            status=ExecutionStatus.PREPARED,
            trigger=Trigger(type=TriggerType.RESTART, setting=schedule.id),
            created_at=self._clock.now(),
            input_parameters=schedule.input_parameters,
            arguments=schedule.arguments,
            parent=schedule.id,
        )

    async def _fail_without_script(self, entity: EntityRef, script_id: str, actor: Actor) -> None:
        async with self._changes:
            self._active.give_up(entity, script_id, NotStartable(*_script_gone(script_id)))
            ended = [
                self._without_script(schedule, actor)
                for schedule in self._waiting.values()
                if schedule.entity == entity and schedule.script_id == script_id
            ]
            try:
                await self._record(ended)
            except StoreUnavailable as error:
                names = ', '.join(each.execution.id for each in ended)
                _log.warning('%s fail at the next start: %s', names, error)

    def _without_script(self, schedule: Execution, actor: Actor) -> Change:
        reason, message = _script_gone(schedule.script_id)
        failure = Failure(reason=reason, message=message)
        return self._ended(
            schedule,
            ExecutionStatus.FAILED,
            cause=reason.value,
            actor=actor,
            failure=failure,
        )

    def _ended(
        self,
        schedule: Execution,
        status: ExecutionStatus,
        *,
        cause: str,
        actor: Actor,
        **changes: object,
    ) -> Change:
        ended = advance(schedule, status, completed_at=self._clock.now(), **changes)
        removed = EventKind.SCHEDULE_REMOVED
        return Change(execution=ended, kind=removed, actor=actor, cause=cause)

    async def _record(self, changes: Sequence[Change]) -> None:
        """Record changes, all or none, those of waiting schedules here as well."""
        if changes:
            await self._ledger.record(*changes)
        for schedule in (each.execution for each in changes if each.execution.id in self._waiting):
            if schedule.is_open:
                self._waiting[schedule.id] = schedule
            else:
                del self._waiting[schedule.id]


def _script_gone(script_id: str) -> tuple[FailureReason, str]:
    return FailureReason.SCRIPT_GONE, f'its script {script_id} is gone, and so is the schedule'
