"""Schedules: executions in `prepared` that wait for a start of the gateway."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
import logging
from typing import Any, TypeVar

from gateway_node.entities.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    FeatureNotAvailable,
    NotStartable,
    RunnerUnavailable,
    StoreUnavailable,
)
from gateway_node.executions.floor import Floor
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.orders import OrderDesk, Wish
from gateway_node.executions.ports import Change, StartOrder
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
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)

_log = logging.getLogger(__name__)

_Result = TypeVar('_Result')

_ATTEMPTS = 30
_RETRY_SEC = 1.0
"""Between attempts to start what the runner or the schema check refused for the moment."""


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


class Restarts:
    """Owns the schedules that wait; those that were started have become live executions."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        floor: Floor,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        settings: RestartSettings,
    ) -> None:
        self._desk = desk
        self._floor = floor
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._waiting: dict[str, Execution] = {}
        # One change of the schedules at a time: none takes back what another recorded.
        self._changes = asyncio.Lock()

    def add(self, schedules: Iterable[Execution]) -> None:
        """Take recorded schedules."""
        self._waiting |= {schedule.id: schedule for schedule in schedules}

    def get(self, execution_id: str) -> Execution | None:
        """Return a schedule that waits, or None."""
        return self._waiting.get(execution_id)

    def scheduled_start(self) -> ScheduledStart:
        """Return what a schedule notes of a start that is made now."""
        return ScheduledStart(at=self._clock.now(), boot_time=self._clock.boot_time())

    async def start_executions(self, directory: EntityDirectory) -> None:
        """Start an execution of every schedule; called once, at the start of the gateway.

        They are recorded when this returns, and then wait for their entities.
        """
        for schedule in sorted(self._waiting.values(), key=lambda each: each.id):
            if schedule.execution_type is ExecutionType.ONCE_ON_RESTART:
                del self._waiting[schedule.id]
                self._floor.enter_waiting(schedule, self._preparation(schedule, directory))
            elif self._too_soon(schedule):
                _log.warning('%s starts nothing: too soon after its last start', schedule.id)
                skipped = schedule.evolve(skipped_starts=schedule.skipped_starts + 1)
                self._waiting[schedule.id] = await self._ledger.keep(skipped)
            else:
                await self._start_execution(schedule, directory)

    def start_unstarted(self, executions: Iterable[Execution], directory: EntityDirectory) -> None:
        """Start what an earlier gateway accepted and did not start."""
        for execution in executions:
            self._floor.enter_waiting(execution, self._preparation(execution, directory))

    async def schedule(self, execution: Execution) -> None:
        """Record a new schedule and take it; once begun this goes on where it is cancelled.

        Raises:
            ScriptNotFound: its script was deleted meanwhile; nothing was recorded.
            StoreUnavailable: as its name says; nothing was recorded.
        """

        async def schedule() -> None:
            async with self._changes:
                await self._desk.script(_wish_of(execution))
                await self._ledger.begin(execution)
                self.add([execution])

        await _to_the_end(schedule())

    async def stop(self, execution_id: str, trigger: Trigger) -> Execution | None:
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
                    schedule, ExecutionStatus.TERMINATED, cause='stop', stop_trigger=trigger
                )
                await self._record_ends([ended])
                return ended.execution

        return await _to_the_end(stop())

    async def script_deleted(self, entity: EntityRef, script_id: str) -> None:
        """End the schedules of a script that is gone."""
        await _to_the_end(self._fail_without_script(entity, script_id))

    async def _start_execution(self, schedule: Execution, directory: EntityDirectory) -> None:
        version = await self._desk.present_version(schedule.entity, schedule.script_id)
        if version is None:
            await self._record_ends([self._without_script(schedule)])
            return
        execution = Execution(
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
        noted = schedule.evolve(last_scheduled_start=self.scheduled_start())
        await self._ledger.begin(execution, also=(noted,))
        self._waiting[schedule.id] = noted
        self._floor.enter_waiting(execution, self._preparation(execution, directory))

    def _too_soon(self, schedule: Execution) -> bool:
        last = schedule.last_scheduled_start
        now = self._clock.boot_time()
        return (
            last is not None
            and last.boot_time.boot_id == now.boot_id
            and now.seconds - last.boot_time.seconds < self._settings.min_interval_sec
        )

    def _preparation(
        self, execution: Execution, directory: EntityDirectory
    ) -> Callable[[], Coroutine[Any, Any, StartOrder]]:
        async def prepare() -> StartOrder:
            timeout_sec = self._settings.entity_timeout_sec
            try:
                async with asyncio.timeout(timeout_sec):
                    await directory.wait_online(execution.entity)
            except TimeoutError:
                raise NotStartable(
                    FailureReason.ENTITY_ABSENT,
                    f'{execution.entity.path} did not come online within {timeout_sec:g} s',
                ) from None
            return await self._order_in_place(execution)

        return prepare

    async def _order_in_place(self, execution: Execution) -> StartOrder:
        """Wait for a place, then for an order; what is refused for the moment is tried again."""
        wish = _wish_of(execution)
        try:
            script = await self._desk.script(wish)
            await self._floor.wait_for_place(execution.id, execution.entity, script)
            return await self._order_with_patience(execution.id, wish)
        except (ScriptNotFound, ScriptsTurnedOff) as error:
            raise NotStartable(FailureReason.SCRIPT_GONE, str(error)) from error
        except ParametersInvalid as error:
            raise NotStartable(FailureReason.PARAMETERS_REFUSED, str(error)) from error
        except (FeatureNotAvailable, RunnerUnavailable, SchemaCheckUnavailable) as error:
            raise NotStartable(FailureReason.SPAWN_FAILED, str(error)) from error

    async def _order_with_patience(self, execution_id: str, wish: Wish) -> StartOrder:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._desk.order(execution_id, wish)
            except (RunnerUnavailable, SchemaCheckUnavailable) as error:
                _log.warning('%s waits: %s', execution_id, error)
                await asyncio.sleep(_RETRY_SEC)
        return await self._desk.order(execution_id, wish)

    async def _fail_without_script(self, entity: EntityRef, script_id: str) -> None:
        self._floor.give_up(entity, script_id, NotStartable(*_script_gone(script_id)))
        async with self._changes:
            ended = [
                self._without_script(schedule)
                for schedule in self._waiting.values()
                if schedule.entity == entity and schedule.script_id == script_id
            ]
            try:
                await self._record_ends(ended)
            except StoreUnavailable as error:
                names = ', '.join(each.execution.id for each in ended)
                _log.warning('%s fail at the next start: %s', names, error)

    def _without_script(self, schedule: Execution) -> Change:
        reason, message = _script_gone(schedule.script_id)
        failure = Failure(reason=reason, message=message)
        return self._ended(schedule, ExecutionStatus.FAILED, cause=reason.value, failure=failure)

    def _ended(
        self, schedule: Execution, status: ExecutionStatus, *, cause: str, **changes: object
    ) -> Change:
        ended = advance(
            schedule, status, scheduled=False, completed_at=self._clock.now(), **changes
        )
        return Change(execution=ended, cause=cause)

    async def _record_ends(self, ends: Sequence[Change]) -> None:
        if ends:
            await self._ledger.record(*ends)
        for each in ends:
            del self._waiting[each.execution.id]


def _script_gone(script_id: str) -> tuple[FailureReason, str]:
    return FailureReason.SCRIPT_GONE, f'its script {script_id} is gone, and so is the schedule'


def _wish_of(execution: Execution) -> Wish:
    return Wish(
        entity=execution.entity,
        script_id=execution.script_id,
        parameters=execution.input_parameters,
        arguments=execution.arguments,
    )


async def _to_the_end(change: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait for a change; it goes on to its end where the waiting is cancelled."""
    return await asyncio.shield(asyncio.ensure_future(change))
