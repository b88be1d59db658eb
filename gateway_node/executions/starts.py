# SPDX-License-Identifier: Apache-2.0
"""A client's wish becomes a recorded execution, a schedule, or both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
import datetime
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor
from gateway_node.executions.admission import Admission
from gateway_node.executions.candidates import Admitted, Candidate
from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.errors import (
    EntityLocked,
    ExpiryPast,
    OutlivesScript,
    ParentForeign,
    ParentNotRunning,
)
from gateway_node.executions.families import Families
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.instance_refs import InstanceRef, InstanceStart
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.line import Line
from gateway_node.executions.places import GroupLimit
from gateway_node.executions.ports import CallbackCheck, EntityGuard
from gateway_node.executions.proximity import Proof
from gateway_node.executions.rights import acting_with, rights_of
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.schedules import Schedules
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.script_fields import script_fields
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import SecretsMissing
from gateway_node.scripts.values import DEFAULT_PRIORITY

RUNS_NOW = frozenset({ExecutionType.NOW, ExecutionType.NOW_AND_ON_RESTART})


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """A client's wish to start an execution."""

    execution_type: ExecutionType
    parameters: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Where in the parameters secrets are missing, masked as what it repeats has them; JSON
    Pointers."""
    arguments: tuple[str, ...] = ()
    timeout_sec: float | None = None
    """None: the script's own, or the gateway's default."""
    parent: str | None = None
    """The id of the execution whose script wants it; only where it is to run now and no more."""
    priority: int = DEFAULT_PRIORITY
    expires_in_sec: float | None = None
    """How long it may wait for its start; None for as long as it takes."""
    expires_at: datetime.datetime | None = None
    """The same, as a moment by the clock of the gateway; `expiring` makes seconds of it."""
    expires_up_sec: float | None = None
    """When that is over, by the time that all gateways on the store were up."""
    queue: bool = True
    """Whether it waits in line where there is no place, and is not refused."""
    confirmed: Confirmed = False
    """Whether what the script says in its `confirmation` is confirmed."""
    proximity_response: str | None = field(default=None, repr=False)
    """What proves that who starts it is beside the robot."""
    attended: bool = True
    """Whether who wants it may stand beside the robot: not where it is one of many."""
    again: str | None = None
    """The id of the execution that it repeats."""
    key: IdempotencyKey | None = None
    """Under which it is kept what became of it."""
    callback: str | None = None
    """The URL to which the end is to be told."""
    instance: InstanceStart | None = None
    """On behalf of which instance of the script."""


class Starts:
    """Records what was let in, and has it driven."""

    def __init__(
        self,
        *,
        admission: Admission,
        active: ActiveExecutions,
        families: Families,
        schedules: Schedules,
        line: Line,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        up_sec: Callable[[], float],
        check_callback: CallbackCheck,
        guard: EntityGuard,
    ) -> None:
        """`up_sec` tells how long all gateways on the store were up."""
        self._admission = admission
        self._active = active
        self._families = families
        self._schedules = schedules
        self._line = line
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._up_sec = up_sec
        self._check_callback = check_callback
        self._guard = guard

    async def start(
        self, entity: EntityRef, script_id: str, request: StartRequest, actor: Actor
    ) -> Execution:
        """Record a new execution, and begin to start it or schedule it; return it as recorded.

        Raises what `ExecutionService.start` says.
        """
        if request.secrets:
            raise SecretsMissing(request.secrets)
        if request.execution_type is not ExecutionType.NOW and actor.execution is not None:
            raise OutlivesScript(actor.execution, 'a schedule')
        if request.callback is not None:
            self._check_callback(request.callback)
        ancestors = self._families.ancestors_of_child(_parent_of(request, actor))
        asked_by = self._families.asking(actor, ancestors)
        self._guard.check(entity, asked_by)
        asked_at = self._clock.now()
        request = expiring(request, asked_at, self._up_sec())
        execution_id, schedule_id = self._new_ids(request.execution_type, asked_at)
        candidate = candidate_of(
            execution_id,
            entity,
            script_id,
            request,
            schedule_id=schedule_id,
            ancestors=ancestors,
            proof=_proof_of(request, actor),
            identity=actor.name,
            scope=actor.scope,
        )
        with self._families.expecting(candidate.execution_id, ancestors):
            try:
                admitted = await self._let_in(candidate, asked_by)
            except BaseException:
                self._ids.settle(*candidate.ids)
                raise
            execution = new_execution(admitted.order, request, actor, asked_at, ancestors)
            return await self._begin(execution, candidate, admitted, actor, request.key)

    def _new_ids(
        self, execution_type: ExecutionType, asked_at: datetime.datetime
    ) -> tuple[str, str | None]:
        """Return an id for an execution, and that of the schedule that it is or comes with."""
        execution_id = self._ids.next(asked_at)
        if execution_type is ExecutionType.NOW:
            return execution_id, None
        if execution_type in RUNS_NOW:
            return execution_id, self._ids.next(asked_at)
        return execution_id, execution_id

    async def _let_in(self, candidate: Candidate, asked_by: Actor) -> Admitted:
        admitted = await self._admission.walk_in(candidate)
        try:
            self._families.check(candidate.execution_id)
            self._guard.check(candidate.entity, asked_by)  # it may be locked since
        except (ParentNotRunning, EntityLocked):
            self._admission.leave(candidate.execution_id)
            raise
        return admitted

    async def _begin(
        self,
        execution: Execution,
        candidate: Candidate,
        admitted: Admitted,
        actor: Actor,
        key: IdempotencyKey | None,
    ) -> Execution:
        if candidate.schedule_id is None:
            await self._start(execution, admitted, actor, key)
        elif candidate.runs:
            execution = execution.evolve(schedule=candidate.schedule_id)
            await self._start_with_schedule(execution, admitted, actor, key)
        else:
            execution = execution.evolve(as_schedule=Schedule())
            await self._schedules.schedule(execution, actor, key)
        if admitted.waits:
            position = self._line.positions().get(execution.id)
            return execution.evolve(queue_position=position)
        return execution

    async def _start(
        self, execution: Execution, admitted: Admitted, actor: Actor, key: IdempotencyKey | None
    ) -> None:
        waits = admitted.waits

        async def record() -> None:
            try:
                await self._ledger.begin(execution, actor=actor, key=key, queued=waits)
            finally:
                self._ids.settle(execution.id)

        asked_by = self._families.asking(actor, execution.ancestors)
        await self._active.begin(execution, admitted, record, asked_by)

    async def _start_with_schedule(
        self, execution: Execution, admitted: Admitted, actor: Actor, key: IdempotencyKey | None
    ) -> None:
        """Start an execution now and record its schedule with it, both or neither."""
        assert execution.schedule is not None
        schedule = execution.evolve(
            expires_in_sec=None,
            expires_up_sec=None,
            id=execution.schedule,
            schedule=None,
            parent=execution.id,
            as_schedule=Schedule(last_start=self._schedules.scheduled_start()),
        )

        async def record() -> None:
            try:
                await self._ledger.begin(
                    execution, schedule, actor=actor, key=key, queued=admitted.waits
                )
            except Exception:
                self._admission.leave(schedule.id)
                raise
            finally:
                self._ids.settle(execution.id, schedule.id)
            self._schedules.add([schedule])

        await self._active.begin(execution, admitted, record, actor)


def _parent_of(request: StartRequest, actor: Actor) -> str | None:
    """Return the parent of what is to be started; ParentForeign.

    What a script starts is a child of its execution, and of no other: nothing else is revoked
    with it. What is started again has no parent of that kind.
    """
    if actor.execution is None or request.parent == actor.execution:
        return request.parent
    if request.parent is not None:
        raise ParentForeign(request.parent, actor.execution)
    return actor.execution if request.again is None else None


def expiring(request: StartRequest, now: datetime.datetime, up_sec: float) -> StartRequest:
    """Return a client's wish with what is left of the time in which it may wait; ExpiryPast.

    A wall clock jumps: from here on seconds are counted.
    """
    left_sec = request.expires_in_sec
    if request.expires_at is not None:
        left_sec = (request.expires_at - now).total_seconds()
        if left_sec <= 0:
            raise ExpiryPast(request.expires_at)
    if left_sec is None:
        return request
    return replace(request, expires_in_sec=left_sec, expires_up_sec=up_sec + left_sec)


def candidate_of(
    execution_id: str,
    entity: EntityRef,
    script_id: str,
    request: StartRequest,
    *,
    schedule_id: str | None = None,
    ancestors: tuple[str, ...] = (),
    group: GroupLimit | None = None,
    proof: Proof | None = None,
    identity: str | None = None,
    scope: Scope = EVERYTHING,
) -> Candidate:
    """Return a client's wish as what wants in."""
    return Candidate(
        execution_id=execution_id,
        entity=entity,
        script_id=script_id,
        parameters=request.parameters,
        arguments=request.arguments,
        timeout_sec=request.timeout_sec,
        instance=_ref_of(request.instance, entity, script_id),
        ancestors=ancestors,
        group=group,
        priority=request.priority,
        queue=request.queue,
        confirmed=request.confirmed,
        proof=proof,
        identity=identity,
        scope=scope,
        runs=request.execution_type in RUNS_NOW,
        schedule_id=schedule_id,
    )


def _ref_of(
    instance: InstanceStart | None, entity: EntityRef, script_id: str
) -> InstanceRef | None:
    if instance is None:
        return None
    return InstanceRef(entity=entity, script_id=script_id, name=instance.name)


def asking(request: StartRequest, actor: Actor) -> Actor:
    """Return as whom a start is wanted: where a condition fired, as who made the instance."""
    instance = request.instance
    if instance is None or instance.trigger is None:
        return actor
    return acting_with(instance.rights)


def _proof_of(request: StartRequest, actor: Actor) -> Proof | None:
    """Return what whoever wants a start says of being there; None where nobody stands there."""
    instance = request.instance
    if not request.attended or (instance is not None and instance.trigger is not None):
        return None
    return Proof(by=actor, response=request.proximity_response)


def _trigger_of(request: StartRequest, actor: Actor) -> Trigger:
    if request.instance is not None and request.instance.trigger is not None:
        return request.instance.trigger
    return Trigger(type=TriggerType.MANUAL, username=actor.name)


def new_execution(
    order: StartOrder,
    request: StartRequest,
    actor: Actor,
    asked_at: datetime.datetime,
    ancestors: tuple[str, ...],
) -> Execution:
    """Return the execution that is recorded of what was let in."""
    return Execution(
        id=order.execution_id,
        entity=order.entity,
        script_id=order.script.id,
        **script_fields(order.script),
        instance=None if request.instance is None else request.instance.name,
        instance_version=None if request.instance is None else request.instance.version,
        execution_type=request.execution_type,
        status=ExecutionStatus.PREPARED,
        trigger=_trigger_of(request, actor),
        created_at=asked_at,
        input_parameters=order.shown_parameters,
        secrets=order.secrets,
        arguments=order.arguments,
        timeout_sec=request.timeout_sec,
        priority=request.priority,
        expires_in_sec=request.expires_in_sec,
        expires_up_sec=request.expires_up_sec,
        callback=request.callback,
        rights=rights_of(actor),
        parent=ancestors[0] if ancestors else request.again,
        ancestors=ancestors,
    )
