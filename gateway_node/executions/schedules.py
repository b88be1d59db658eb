# SPDX-License-Identifier: Apache-2.0
"""Schedules: executions in `prepared` that wait for a start of the gateway."""

import asyncio
from collections.abc import Iterable, Sequence
import contextlib
import datetime
import logging

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.admission import Admission
from gateway_node.executions.errors import NotStartable, StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Change, EventKind
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.schedule import ScheduledStart
from gateway_node.executions.script_fields import script_fields
from gateway_node.executions.settings import RestartSettings
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Script
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)

GROUP = 100
"""Schedules that are started with one commit, before others get a turn."""
_RETRY_SEC = 1.0
"""Between attempts to record what the store does not take at the moment."""


class Schedules:
    """Owns the schedules that wait; those that were started have become active executions."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        admission: Admission,
        active: ActiveExecutions,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        settings: RestartSettings,
    ) -> None:
        self._library = library
        self._admission = admission
        self._active = active
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._waiting: dict[str, Execution] = {}
        self._due: list[str] = []
        self._ending = asyncio.Event()
        # One change of the schedules at a time: none takes back what another recorded.
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()

    def add(self, schedules: Iterable[Execution]) -> None:
        """Take recorded schedules."""
        for schedule in schedules:
            self._waiting[schedule.id] = schedule

    def add_due(self, schedules: Iterable[Execution]) -> None:
        """Take schedules that waited for this start of the gateway."""
        self.add(schedules)
        self._admission.restore_schedules(self._waiting.values())
        self._due = sorted(self._waiting)

    def get(self, execution_id: str) -> Execution | None:
        """Return a schedule that waits, or None."""
        return self._waiting.get(execution_id)

    def scripts(self) -> frozenset[tuple[EntityRef, str]]:
        """Return the scripts of the schedules that wait, each with its entity."""
        return frozenset((each.entity, each.script_id) for each in self._waiting.values())

    def scheduled_start(self) -> ScheduledStart:
        """Return what a schedule notes of a start that is made now."""
        return ScheduledStart(at=self._clock.now(), boot_time=self._clock.boot_time())

    async def start_group(self) -> None:
        """Start the executions of the first schedules that are due, with one commit.

        They wait for their entities then. StoreUnavailable, and nothing was started.
        """
        group = self._due[:GROUP]
        async with self._changes:
            await self._start(group)
        del self._due[: len(group)]

    async def start_rest(self) -> None:
        """Start the executions of all schedules that are due, group by group.

        What the store does not take is tried again; with `close`, and where the store takes
        nothing any more, what is left waits for the next start of the gateway.
        """
        while self._due and not self._ending.is_set():
            try:
                await self.start_group()
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

    async def schedule(
        self, execution: Execution, actor: Actor, key: IdempotencyKey | None
    ) -> None:
        """Record a new schedule that was let in and take it.

        Once begun this goes on where it is cancelled.

        Raises:
            ScriptNotFound: its script was deleted meanwhile; nothing was recorded.
            StoreUnavailable: as its name says; nothing was recorded.
        """

        async def schedule() -> None:
            try:
                async with self._changes:
                    await self._library.get(execution.entity, execution.script_id)
                    await self._ledger.begin(execution, actor=actor, key=key)
                    self.add([execution])
            except Exception:
                self._admission.leave(execution.id)
                raise
            finally:
                self._ids.settle(execution.id)

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

    async def _start(self, due: Sequence[str]) -> None:
        changes: list[Change] = []
        starting: list[Execution] = []
        try:
            for schedule in (self._waiting[each] for each in due if each in self._waiting):
                if schedule.execution_type is ExecutionType.ONCE_ON_RESTART:
                    starting.append(schedule)
                elif (execution := await self._start_one(schedule, changes)) is not None:
                    starting.append(execution)
            await self._record(changes)
        except BaseException:
            for change in changes:
                if change.new:
                    self._admission.leave(change.execution.id)
            raise
        finally:
            self._ids.settle(*(change.execution.id for change in changes))
        for execution in starting:
            self._waiting.pop(execution.id, None)
            self._active.begin_accepted(execution)

    async def _start_one(self, schedule: Execution, changes: list[Change]) -> Execution | None:
        """Add what a start of the gateway means for a schedule; return what it starts, if so."""
        assert schedule.as_schedule is not None
        interval_sec = self._settings.min_interval_sec
        if schedule.as_schedule.starts_too_soon(self._clock.boot_time(), interval_sec):
            _log.warning('%s starts nothing: too soon after its last start', schedule.id)
            skipped = schedule.evolve(
                as_schedule=schedule.as_schedule.skipped(), changed_at=self._clock.now()
            )
            kind = EventKind.SCHEDULE_SKIPPED
            changes.append(Change(execution=skipped, kind=kind, actor=GATEWAY))
            return None
        now = self._clock.now()
        execution_id = self._ids.next(now)
        try:
            script = await self._admission.accept(
                execution_id, schedule.entity, schedule.script_id
            )
        except BaseException as error:
            self._ids.settle(execution_id)
            if not isinstance(error, ScriptNotFound):
                raise
            changes.append(self._without_script(schedule, GATEWAY))
            return None
        execution = self._execution_of(schedule, execution_id, script, now)
        changes.append(Change.first(execution, GATEWAY))
        noted = schedule.evolve(
            as_schedule=schedule.as_schedule.started(self.scheduled_start()), changed_at=now
        )
        kind = EventKind.SCHEDULE_STARTED
        changes.append(Change(execution=noted, kind=kind, actor=GATEWAY))
        return execution

    def _execution_of(
        self, schedule: Execution, execution_id: str, script: Script, now: datetime.datetime
    ) -> Execution:
        return Execution(
            id=execution_id,
            entity=schedule.entity,
            script_id=schedule.script_id,
            **script_fields(script),
            execution_type=schedule.execution_type,
            status=ExecutionStatus.PREPARED,
            trigger=Trigger(type=TriggerType.RESTART, setting=schedule.id),
            created_at=now,
            input_parameters=schedule.input_parameters,
            arguments=schedule.arguments,
            timeout_sec=schedule.timeout_sec,
            priority=schedule.priority,
            parent=schedule.id,
            callback=schedule.callback,
            rights=schedule.rights,
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
        return Change(execution=ended, kind=removed, actor=actor, cause=cause, kept_bytes=0)

    async def _record(self, changes: Sequence[Change]) -> None:
        """Record changes, all or none, those of waiting schedules here as well."""
        if changes:
            await self._ledger.record(*changes)
        for schedule in (each.execution for each in changes if each.execution.id in self._waiting):
            if schedule.is_open:
                self._waiting[schedule.id] = schedule
            else:
                del self._waiting[schedule.id]
                self._admission.leave(schedule.id)


def _script_gone(script_id: str) -> tuple[FailureReason, str]:
    return FailureReason.SCRIPT_GONE, f'its script {script_id} is gone, and so is the schedule'
