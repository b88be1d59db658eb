# SPDX-License-Identifier: Apache-2.0
"""The way in: a client's wish becomes a recorded execution, a schedule, or both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import GatewayShuttingDown
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import StartOrder
from gateway_node.executions.schedules import Schedules
from gateway_node.executions.start_checks import Candidate, StartChecks
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Schedule,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import Script

_RUNS_NOW = frozenset({ExecutionType.NOW, ExecutionType.NOW_AND_ON_RESTART})


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """A client's wish to start an execution."""

    execution_type: ExecutionType
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


class Starts:
    """Lets executions and schedules in: first a place, then the runner's word, then the record."""

    def __init__(
        self,
        *,
        checks: StartChecks,
        active: ActiveExecutions,
        schedules: Schedules,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
    ) -> None:
        self._checks = checks
        self._active = active
        self._schedules = schedules
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._closed = False

    def close(self) -> None:
        """Let nothing more in."""
        self._closed = True

    async def start(
        self, entity: EntityRef, script_id: str, request: StartRequest, actor: Actor
    ) -> Execution:
        """Record a new execution, and begin to start it or schedule it; return it as recorded.

        Raises what `ExecutionService.start` says.
        """
        self._refuse_when_closed()
        candidate = Candidate(
            entity=entity,
            script_id=script_id,
            parameters=request.parameters,
            arguments=request.arguments,
        )
        runs_now = request.execution_type in _RUNS_NOW
        execution_id = schedule_id = self._ids.next(self._clock.now())
        if request.execution_type is ExecutionType.NOW_AND_ON_RESTART:
            schedule_id = self._ids.next(self._clock.now())

        def admit(script: Script) -> None:
            if runs_now:
                self._active.reserve(execution_id, entity, script)
            if request.execution_type is not ExecutionType.NOW:
                self._schedules.reserve(schedule_id)

        try:
            order = await self._checks.order(execution_id, candidate, admit)
            self._refuse_when_closed()
        except BaseException:
            self._active.give_back(execution_id)
            self._schedules.give_back(schedule_id)
            raise
        execution = self._new_execution(order, candidate, request, actor)
        if request.execution_type is ExecutionType.NOW:
            await self._active.enter(
                execution, order, lambda: self._ledger.begin(execution, actor=actor)
            )
        elif runs_now:
            execution = await self._start_and_schedule(execution, order, schedule_id, actor)
        else:
            execution = execution.evolve(as_schedule=Schedule())
            await self._schedules.schedule(execution, actor)
        return execution

    async def _start_and_schedule(
        self, execution: Execution, order: StartOrder, schedule_id: str, actor: Actor
    ) -> Execution:
        """Start an execution now and record its schedule with it, both or neither."""
        schedule = execution.evolve(
            id=schedule_id,
            parent=execution.id,
            as_schedule=Schedule(last_start=self._schedules.scheduled_start()),
        )
        execution = execution.evolve(schedule=schedule.id)

        async def record() -> None:
            try:
                await self._ledger.begin(execution, schedule, actor=actor)
                self._schedules.add([schedule])
            finally:
                self._schedules.give_back(schedule_id)

        await self._active.enter(execution, order, record)
        return execution

    def _new_execution(
        self, order: StartOrder, candidate: Candidate, request: StartRequest, actor: Actor
    ) -> Execution:
        return Execution(
            id=order.execution_id,
            entity=order.entity,
            script_id=order.script.id,
            script_version=order.script.version,
            execution_type=request.execution_type,
            status=ExecutionStatus.PREPARED,
            trigger=Trigger(type=TriggerType.MANUAL, username=actor.name),
            created_at=self._clock.now(),
            input_parameters=candidate.parameters,
            arguments=candidate.arguments,
            mended=order.script.mended,
        )

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise GatewayShuttingDown
