"""Schedules: executions in `prepared` that wait for a start of the gateway, and their runs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
import logging

from gateway_node.entities.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    FeatureNotAvailable,
    NotStartable,
    RunnerUnavailable,
)
from gateway_node.executions.floor import Floor
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.orders import OrderDesk, Wish
from gateway_node.executions.ports import StartOrder
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Failure,
    FailureReason,
    RestartRun,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RestartSettings:
    """What the configuration says about restarts."""

    min_interval_sec: float
    """Seconds between two runs of one schedule, so that a crash loop does not become its own
    cause."""
    entity_timeout_sec: float
    """Seconds that a run waits for its entity to come online."""
    start_prepared: bool
    """Whether executions that were accepted and never started are started after all."""


class Restarts:
    """Owns the schedules that wait; those that run have become live executions."""

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

    def add(self, schedules: Iterable[Execution]) -> None:
        """Take recorded schedules."""
        self._waiting |= {schedule.id: schedule for schedule in schedules}

    def get(self, execution_id: str) -> Execution | None:
        """Return a schedule that waits, or None."""
        return self._waiting.get(execution_id)

    def restart_run(self) -> RestartRun:
        """Return what a schedule notes of a run that is made now."""
        return RestartRun(at=self._clock.now(), boot_time=self._clock.boot_time())

    async def make_runs(self, directory: EntityDirectory) -> None:
        """Let every schedule have its run; called once, at the start of the gateway.

        The runs are recorded when this returns, and then wait for their entities.
        """
        for schedule in sorted(self._waiting.values(), key=lambda each: each.id):
            if schedule.execution_type is ExecutionType.ONCE_ON_RESTART:
                del self._waiting[schedule.id]
                self._floor.enter_waiting(schedule, self._preparation(schedule, directory))
            elif self._too_soon(schedule):
                _log.warning('%s is not run: too soon after its last run', schedule.id)
                skipped = schedule.evolve(skipped_starts=schedule.skipped_starts + 1)
                self._waiting[schedule.id] = await self._ledger.keep(skipped)
            else:
                await self._make_run(schedule, directory)

    def start_unstarted(self, executions: Iterable[Execution], directory: EntityDirectory) -> None:
        """Start what an earlier gateway accepted and did not start."""
        for execution in executions:
            self._floor.enter_waiting(execution, self._preparation(execution, directory))

    async def stop(self, schedule: Execution, trigger: Trigger) -> Execution:
        """End a schedule that waits because a client wants so; return it as it is then."""
        return await self._end(
            schedule, ExecutionStatus.TERMINATED, cause='stop', stop_trigger=trigger
        )

    async def script_deleted(self, entity: EntityRef, script_id: str) -> None:
        """End the schedules of a script that is gone."""
        for schedule in tuple(self._waiting.values()):
            if schedule.entity == entity and schedule.script_id == script_id:
                await self._fail_without_script(schedule)

    async def _make_run(self, schedule: Execution, directory: EntityDirectory) -> None:
        version = await self._desk.present_version(schedule.entity, schedule.script_id)
        if version is None:
            await self._fail_without_script(schedule)
            return
        run = Execution(
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
        noted = schedule.evolve(last_restart_run=self.restart_run())
        await self._ledger.begin(run, also=(noted,))
        self._waiting[schedule.id] = noted
        self._floor.enter_waiting(run, self._preparation(run, directory))

    def _too_soon(self, schedule: Execution) -> bool:
        last = schedule.last_restart_run
        now = self._clock.boot_time()
        return (
            last is not None
            and last.boot_time.boot_id == now.boot_id
            and now.seconds - last.boot_time.seconds < self._settings.min_interval_sec
        )

    def _preparation(
        self, execution: Execution, directory: EntityDirectory
    ) -> Callable[[], Awaitable[StartOrder]]:
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
            order = await self._order(execution)
            await self._floor.wait_for_place(order)
            # The wait may have been long, and the script another one by now.
            return await self._order(execution)

        return prepare

    async def _order(self, execution: Execution) -> StartOrder:
        wish = Wish(
            entity=execution.entity,
            script_id=execution.script_id,
            parameters=execution.input_parameters,
            arguments=execution.arguments,
        )
        try:
            return await self._desk.order(execution.id, wish)
        except ScriptNotFound as error:
            raise NotStartable(FailureReason.SCRIPT_GONE, str(error)) from error
        except ParametersInvalid as error:
            raise NotStartable(FailureReason.PARAMETERS_REFUSED, str(error)) from error
        except (FeatureNotAvailable, RunnerUnavailable, SchemaCheckUnavailable) as error:
            raise NotStartable(FailureReason.SPAWN_FAILED, str(error)) from error

    async def _fail_without_script(self, schedule: Execution) -> None:
        reason = FailureReason.SCRIPT_GONE
        message = f'its script {schedule.script_id} is gone, and so is the schedule'
        failure = Failure(reason=reason, message=message)
        await self._end(schedule, ExecutionStatus.FAILED, cause=reason.value, failure=failure)

    async def _end(
        self, schedule: Execution, status: ExecutionStatus, *, cause: str, **changes: object
    ) -> Execution:
        # Taken out first: nobody else can end it while this is written.
        del self._waiting[schedule.id]
        return await self._ledger.advance(
            schedule, status, cause, scheduled=False, completed_at=self._clock.now(), **changes
        )
