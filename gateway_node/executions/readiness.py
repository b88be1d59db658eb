# SPDX-License-Identifier: Apache-2.0
"""Why a script would not be started now: all that a start asks, asked without starting anything.

It takes no place, uses up no proof, shows no code, and executes nothing of a script.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
import enum
from typing import Any

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.errors import EntityNotFound
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.candidates import Candidate
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    DiskSpaceLow,
    EntityLocked,
    FeatureNotAvailable,
    InstanceAlreadyRunning,
    LineFull,
    LinePaused,
    OpenLimitReached,
    RunnerUnavailable,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
)
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.looked_starts import LookedStarts
from gateway_node.executions.ports import EntityGuard, FreeSpace
from gateway_node.executions.proximity import ProximityCheck, ProximityClosed, StartUnattended
from gateway_node.executions.runner_ports import ScriptRunner, StartOrder
from gateway_node.executions.start_places import StartPlaces
from gateway_node.executions.starts import RUNS_NOW
from gateway_node.executions.values import ExecutionType
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Script


class Need(enum.Enum):
    """What a start needs."""

    ENTITY = 'entity'
    """Nothing, for a start that runs now: its node may be dead, which is what one diagnoses."""
    LOCK = 'lock'
    """That nobody else holds the entity."""
    SCRIPT = 'script'
    """That its file is there, and something that runs it."""
    RUNNER = 'runner'
    """That anything can be started, in the environment of scripts."""
    DISK = 'disk'
    """That enough of the disk is free."""
    CONFIRMATION = 'confirmation'
    """That who starts it confirms something."""
    PRECONDITION = 'precondition'
    """That something is true of the robot; one for each precondition."""
    PROXIMITY = 'proximity'
    """That who starts it proves to be beside the robot."""
    SINGLE_EXECUTION = 'single_execution'
    """That no other execution of the script is open."""
    LIMITS = 'limits'
    """A place within the limits."""
    LINE = 'line'
    """That the line is not held."""
    INSTANCE = 'instance'
    """That no other execution of the instance is open."""
    SCHEDULES = 'schedules'
    """A place among the schedules."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What one look found."""

    need: Need
    ready: bool = True
    """Whether a start that says nothing besides is not kept from beginning by this."""
    message: str = ''
    """What would have to change, or is good to know, for a person."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What is known besides, in JSON values by name."""

    def document(self) -> dict[str, Any]:
        """Return it as clients see it."""
        said = {'message': self.message} if self.message else {}
        return {'reason': self.need.value, 'ready': self.ready, **said, **self.told}


_OF_PLACES: Mapping[type[Exception], Need] = {
    ScriptAlreadyRunning: Need.SINGLE_EXECUTION,
    InstanceAlreadyRunning: Need.INSTANCE,
    ConcurrencyLimitReached: Need.LIMITS,
    OpenLimitReached: Need.LIMITS,
    LinePaused: Need.LINE,
    LineFull: Need.LINE,
    ScheduleLimitReached: Need.SCHEDULES,
}


_NOT_WAITED_FOR = (LineFull, ScriptAlreadyRunning, InstanceAlreadyRunning, OpenLimitReached)


class Readiness:
    """Answers for one script and one kind of start at a time."""

    def __init__(
        self,
        *,
        runner: ScriptRunner,
        free_space: FreeSpace,
        places: StartPlaces,
        guard: EntityGuard,
        proximity: ProximityCheck,
        looked: LookedStarts,
    ) -> None:
        self._runner = runner
        self._free_space = free_space
        self._places = places
        self._guard = guard
        self._proximity = proximity
        self._looked = looked
        self._directory: EntityDirectory | None = None

    def open(self, directory: EntityDirectory) -> None:
        """Have the entities as a directory has them."""
        self._directory = directory

    async def of(
        self,
        entity: EntityRef,
        script: Script,
        execution_type: ExecutionType,
        actor: Actor,
        instance: InstanceRef | None = None,
    ) -> tuple[Checked, ...]:
        """Return all that an actor's start of a script, or of an instance of it, needs, whether it
        is there or not."""
        order = _order(entity, script)
        candidate = _candidate(entity, script, execution_type, actor, instance)
        return (
            self._online(entity, execution_type),
            await _checked(Need.LOCK, lambda: self._unlocked(entity, actor)),
            await _checked(Need.SCRIPT, lambda: self._look_over(order)),
            await _checked(Need.RUNNER, self._runner.ready),
            await _checked(Need.DISK, self._free_space.check),
            *_confirmation(script),
            *await self._of_preconditions(candidate, script),
            *self._of_proximity(script, execution_type, actor),
            *self._of_places(candidate, script),
        )

    def _online(self, entity: EntityRef, execution_type: ExecutionType) -> Checked:
        assert self._directory is not None, 'readiness is not open'
        try:
            online = self._directory.entity(entity).online
        except EntityNotFound:
            online = False
        message = '' if online else f'{entity.path} is offline, which a start does not wait for'
        if not online and execution_type not in RUNS_NOW:
            message = f'{entity.path} is offline; what a schedule starts waits for it'
        return Checked(need=Need.ENTITY, message=message, told={'online': online})

    async def _unlocked(self, entity: EntityRef, actor: Actor) -> None:
        self._guard.check(entity, actor)

    async def _look_over(self, order: StartOrder) -> None:
        try:
            await self._runner.look_over(order)
        except ParametersInvalid:
            # It is given none here, and may need some.
            return

    def _of_proximity(
        self, script: Script, execution_type: ExecutionType, actor: Actor
    ) -> tuple[Checked, ...]:
        if not script.proximity_proof_required:
            return ()
        message = 'to be proven with "proximity_response"; the script has the challenge'
        told = {'give': 'proximity_response'}
        if execution_type is not ExecutionType.NOW:
            message, told = str(StartUnattended.by_schedule(script.id)), {}
        try:
            self._proximity.check_open(script, actor)
        except (FeatureNotAvailable, ProximityClosed) as error:
            message, told = str(error), {}
        return (Checked(need=Need.PROXIMITY, ready=False, message=message, told=told),)

    async def _of_preconditions(self, candidate: Candidate, script: Script) -> list[Checked]:
        """Look at the robot; what a schedule starts looks when it starts."""
        required = self._looked.required(candidate, script) if candidate.runs else ()
        if not required:
            return []
        return [
            Checked(
                need=Need.PRECONDITION,
                ready=each.standing.met,
                message='' if each.standing.met else each.sentence,
                told=each.document(),
            )
            for each in await self._looked.stand(required)
        ]

    def _of_places(self, candidate: Candidate, script: Script) -> tuple[Checked, ...]:
        refusals = self._places.refusals(candidate, script)
        queues = not script.proximity_proof_required and not any(
            isinstance(each, _NOT_WAITED_FOR) for each in refusals
        )
        lacking = {_need_of(each) for each in refusals}
        of_line = {'waiting': self._places.line.state(candidate.entity).waiting}
        checked = [
            *(_lacking(each, queues=queues) for each in refusals),
            *(Checked(need=each) for each in _places_of(candidate, script) if each not in lacking),
        ]
        return tuple(
            replace(each, told={**of_line, **each.told}) if each.need is Need.LINE else each
            for each in checked
        )


async def _checked(need: Need, check: Callable[[], Awaitable[None]]) -> Checked:
    try:
        await check()
    except (DiskSpaceLow, EntityLocked, FeatureNotAvailable, RunnerUnavailable) as error:
        told: Mapping[str, Any] = getattr(error, 'told', {})
        return Checked(need=need, ready=False, message=str(error), told=told)
    return Checked(need=need)


def _confirmation(script: Script) -> tuple[Checked, ...]:
    if script.confirmation is None:
        return ()
    told = {'give': 'confirmed', 'confirmation': script.confirmation}
    message = 'to be confirmed with "confirmed": true'
    return (Checked(need=Need.CONFIRMATION, ready=False, message=message, told=told),)


def _need_of(refusal: Exception) -> Need:
    return next(need for kind, need in _OF_PLACES.items() if isinstance(refusal, kind))


def _lacking(refusal: Exception, *, queues: bool) -> Checked:
    """Return what refuses a place; `queues` where a start waits for it instead."""
    told: dict[str, Any] = {}
    if isinstance(refusal, (ScriptAlreadyRunning, InstanceAlreadyRunning)):
        told['execution'] = refusal.execution_id
    if isinstance(refusal, (ConcurrencyLimitReached, LinePaused)):
        told['queues'] = queues
    return Checked(need=_need_of(refusal), ready=False, message=str(refusal), told=told)


def _places_of(candidate: Candidate, script: Script) -> list[Need]:
    needs = [Need.LIMITS]
    if candidate.runs:
        needs.append(Need.LINE)
    if candidate.runs and script.single_execution:
        needs.append(Need.SINGLE_EXECUTION)
    if candidate.instance is not None:
        needs.append(Need.INSTANCE)
    if candidate.schedule_id is not None:
        needs.append(Need.SCHEDULES)
    return needs


def _candidate(
    entity: EntityRef,
    script: Script,
    execution_type: ExecutionType,
    actor: Actor,
    instance: InstanceRef | None,
) -> Candidate:
    """Return what would ask for places; it has no id, for nothing comes of it."""
    return Candidate(
        execution_id='',
        entity=entity,
        script_id=script.id,
        parameters={},
        arguments=(),
        timeout_sec=None,
        identity=actor.name,
        scope=actor.scope,
        instance=instance,
        runs=execution_type in RUNS_NOW,
        schedule_id=None if execution_type is ExecutionType.NOW else '',
    )


def _order(entity: EntityRef, script: Script) -> StartOrder:
    return StartOrder(
        execution_id='',
        entity=entity,
        script=script,
        parameters={},
        arguments=(),
        timeout_sec=0.0,
        stop_grace_period_sec=0.0,
    )
