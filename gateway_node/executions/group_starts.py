# SPDX-License-Identifier: Apache-2.0
"""A wish to execute one script on several entities becomes a group and its children.

All of them are let in, or stand in line, and are recorded with one commit; or nothing is.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
import datetime
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.active_groups import ActiveGroups, limit_of
from gateway_node.executions.actors import Actor
from gateway_node.executions.admission import Admission
from gateway_node.executions.candidates import Admitted, Candidate
from gateway_node.executions.confirmations import (
    ConfirmationNeeded,
    Confirmed,
    together,
)
from gateway_node.executions.errors import NothingToStart
from gateway_node.executions.events import Change, Happening
from gateway_node.executions.globs import covered, is_pattern, paths_like
from gateway_node.executions.group import Group, NO_VERSION, SCRIPT_ID, Skipped
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import CallbackCheck, Entities, EntityGuard
from gateway_node.executions.preconditions import PreconditionsUnmet
from gateway_node.executions.proximity import StartUnattended
from gateway_node.executions.scopes import Scope
from gateway_node.executions.starts import candidate_of, expiring, new_execution, StartRequest
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Trigger,
    TriggerType,
)
from gateway_node.masking import masked
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Script
from gateway_node.to_the_end import ToTheEnd


@dataclass(frozen=True, kw_only=True)
class GroupRequest:
    """A client's wish to execute a script on several entities, now."""

    script: str
    """An id, or a name that each entity has a script of."""
    entities: tuple[str, ...]
    """Paths of entities, and patterns of paths."""
    start: StartRequest
    """What each of them is given."""
    max_parallel: int | None = None


@dataclass(frozen=True, kw_only=True)
class StartedGroup:
    """What came of such a wish."""

    execution: Execution
    """The parent, as it was recorded."""
    entities: frozenset[EntityRef]
    """Those of the parent and of its children."""


class GroupStarts:
    """Records groups that were let in, and has them driven."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        admission: Admission,
        active: ActiveExecutions,
        groups: ActiveGroups,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        up_sec: Callable[[], float],
        check_callback: CallbackCheck,
        guard: EntityGuard,
    ) -> None:
        self._library = library
        self._admission = admission
        self._active = active
        self._groups = groups
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._up_sec = up_sec
        self._check_callback = check_callback
        self._guard = guard
        self._to_the_end = ToTheEnd()

    async def start(
        self, request: GroupRequest, directory: Entities, actor: Actor
    ) -> StartedGroup:
        """Record a group with all its children, and begin to start those.

        Raises what `ExecutionService.start_group` says.
        """
        if request.start.callback is not None:
            self._check_callback(request.start.callback)
        asked_at = self._clock.now()
        chosen = await self._choose(request, directory.refs(), actor.scope)
        self._check_unlocked(chosen, actor)
        chosen.check_unattended()
        group_id = self._ids.next(asked_at)
        group = _new_group(group_id, directory.host(), request, chosen, actor, asked_at)
        # Told of is the end of all of it.
        start = expiring(replace(request.start, callback=None), asked_at, self._up_sec())
        candidates = [
            candidate_of(
                self._ids.next(asked_at),
                entity,
                script.id,
                replace(start, confirmed=chosen.confirmed(script, start.confirmed)),
                ancestors=(group_id,),
                group=limit_of(group),
                identity=actor.name,
                scope=actor.scope,
            )
            for entity, script in chosen.scripts
        ]
        try:
            admitted = await self._let_in(candidates, chosen, actor)
        except BaseException:
            self._ids.settle(group_id, *(each.execution_id for each in candidates))
            raise
        secrets = _secrets_of(admitted)
        shown = masked(group.input_parameters, secrets)
        group = group.evolve(input_parameters=shown, secrets=secrets)
        children = [
            (new_execution(each.order, start, actor, asked_at, (group_id,)), each)
            for each in admitted
        ]
        recording = self._begin(group, children, actor, request.start.key)
        await self._to_the_end.run(f'record the group {group_id}', recording)
        entities = {group.entity, *(child.entity for child, _ in children)}
        return StartedGroup(execution=group, entities=frozenset(entities))

    async def _choose(
        self, request: GroupRequest, present: Sequence[EntityRef], scope: Scope
    ) -> '_Chosen':
        """Return the entities that are asked for, each with its script, of what is within a scope;
        NothingToStart."""
        by_path = {entity.path: entity for entity in present if scope.has_entity(entity)}
        paths = paths_like(request.entities, by_path)
        asked = [entity for path, entity in by_path.items() if path in paths]
        scripts: dict[EntityRef, list[Script]] = {entity: [] for entity in asked}
        for entity, script in await self._library.everywhere(asked):
            if scope.has(entity, script):
                scripts[entity].append(script)
        chosen: list[tuple[EntityRef, Script]] = []
        skipped = [
            Skipped(entity=path, reason='there is no such entity')
            for path in dict.fromkeys(request.entities)
            if not is_pattern(path) and path not in by_path
        ]
        for entity, each in scripts.items():
            fitting = _named(request.script, each)
            if len(fitting) == 1:
                chosen.append((entity, fitting[0]))
            else:
                skipped.append(_skipped(entity, request.script, len(fitting)))
        if not chosen:
            raise NothingToStart(request.script, tuple(skipped))
        return _Chosen(scripts=tuple(chosen), skipped=tuple(skipped))

    def _check_unlocked(self, chosen: '_Chosen', actor: Actor) -> None:
        for entity, _ in chosen.scripts:
            self._guard.check(entity, actor)

    async def _let_in(
        self, candidates: Sequence[Candidate], chosen: '_Chosen', actor: Actor
    ) -> list[Admitted]:
        """Let all of them in, or have them stand in line; or none."""
        try:
            scripts = [script for _, script in chosen.scripts]
            await self._admission.look_ahead(zip(candidates, scripts, strict=True))
            admitted = await self._admit(candidates)
            self._check_unlocked(chosen, actor)  # somebody may have locked one meanwhile
            for each in candidates:
                # Nothing keeps a script from being deleted as long as no execution is active.
                self._library.check_known(each.entity, each.script_id)
            return self._with_hidden_secrets(admitted)
        except BaseException:
            for each in candidates:
                self._admission.leave(each.execution_id)
            raise

    async def _admit(self, candidates: Sequence[Candidate]) -> list[Admitted]:
        """Let them in, one by one; what has to be confirmed of them, or is not met, is told of all
        at once."""
        admitted = []
        unconfirmed = []
        unmet = []
        for each in candidates:
            try:
                admitted.append(await self._admission.walk_in(each))
            except ConfirmationNeeded as error:
                unconfirmed.append(error)
            except PreconditionsUnmet as error:
                unmet.append(error)
        if unconfirmed:
            raise ConfirmationNeeded.of_all(unconfirmed, _secrets_of(admitted))
        if unmet:
            raise PreconditionsUnmet.of_all(unmet)
        return admitted

    def _with_hidden_secrets(self, admitted: Sequence[Admitted]) -> list[Admitted]:
        """Return what was let in with all hidden that is secret to one of them; ParametersInvalid
        where another would get that on its command line."""
        secrets = _secrets_of(admitted)
        hidden = [self._admission.secrets.hide(each, secrets) for each in admitted]
        for each in hidden:
            declared_arguments(each.order.script, each.order.parameters, secrets)
        return hidden

    def _begin(
        self,
        group: Execution,
        children: Sequence[tuple[Execution, Admitted]],
        actor: Actor,
        key: IdempotencyKey | None,
    ) -> Coroutine[Any, Any, None]:
        """Have the children be active, without an await since they were let in; return what
        records all with one commit and has them driven."""
        self._groups.expect(group, [child for child, _ in children])
        news: list[Change | Happening] = [Change.first(group, actor, key)]
        for child, admitted in children:
            news.append(Change.first(child, actor))
            if admitted.waits:
                news.append(Happening.queued(child.entity, child.script_id, child.id))
        recording = asyncio.ensure_future(self._ledger.record(*news))

        async def record() -> None:
            await asyncio.shield(recording)

        recorded = [self._active.begin(child, each, record, actor) for child, each in children]

        async def end() -> None:
            try:
                await asyncio.gather(*recorded, return_exceptions=True)
                await recording
            except BaseException:
                self._groups.forget(group.id)
                raise
            finally:
                self._ids.settle(group.id, *(child.id for child, _ in children))
            self._groups.begin(group.id)

        return end()


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    scripts: tuple[tuple[EntityRef, Script], ...]
    skipped: tuple[Skipped, ...]

    def check_unattended(self) -> None:
        """Raise StartUnattended where somebody would have to stand beside one of them."""
        attended = [
            entity.path for entity, script in self.scripts if script.proximity_proof_required
        ]
        if attended:
            raise StartUnattended.on_several(attended)

    def confirmed(self, script: Script, confirmed: Confirmed) -> Confirmed:
        """Return what is said of one of the scripts by who confirms what all of them say."""
        texts = [each.confirmation for _, each in self.scripts if each.confirmation is not None]
        if isinstance(confirmed, str) and confirmed == together(texts):
            return script.confirmation or True
        return confirmed is True

    @property
    def script_name(self) -> str:
        """What the scripts are called: they have one name, or, by their id, that of the first."""
        return self.scripts[0][1].name

    @property
    def common_tags(self) -> tuple[str, ...]:
        """The tags that all of the scripts have."""
        (_, first), *others = self.scripts
        return tuple(tag for tag in first.tags if all(tag in script.tags for _, script in others))


def _secrets_of(admitted: Iterable[Admitted]) -> tuple[str, ...]:
    return tuple(sorted({place for each in admitted for place in each.order.secrets}))


def _named(script: str, present: Iterable[Script]) -> list[Script]:
    """Return the script of this id, else those of this name."""
    scripts = list(present)
    by_id = [each for each in scripts if each.id == script]
    return by_id or [each for each in scripts if each.name == script]


def _skipped(entity: EntityRef, script: str, found: int) -> Skipped:
    reason = f'it has no script {script!r}'
    if found:
        reason = f'{found} of its scripts are named {script!r}; say which by its id'
    return Skipped(entity=entity.path, reason=reason)


def _within(scope: Scope, asked: Iterable[str], chosen: _Chosen) -> tuple[str, ...]:
    """Return what was asked for; instead of a pattern that reaches beyond a scope, the entities
    that it chose."""
    if scope.entities is None:
        return tuple(asked)
    paths = [entity.path for entity, _ in chosen.scripts]
    within: dict[str, None] = {}
    for each in asked:
        is_covered = covered(scope.entities, [each])
        within |= dict.fromkeys([each] if is_covered else sorted(paths_like([each], paths)))
    return tuple(within)


def _new_group(
    group_id: str,
    host: EntityRef,
    request: GroupRequest,
    chosen: _Chosen,
    actor: Actor,
    asked_at: datetime.datetime,
) -> Execution:
    return Execution(
        id=group_id,
        entity=host,
        script_id=SCRIPT_ID,
        script_version=NO_VERSION,
        # By this, and by its tags, who is narrowed to such sees the group again: as what all of it
        # has.
        script_name=request.script if actor.scope.scripts is None else chosen.script_name,
        script_tags=chosen.common_tags if actor.scope.tags is not None else (),
        execution_type=ExecutionType.NOW,
        status=ExecutionStatus.PREPARED,
        trigger=Trigger(type=TriggerType.MANUAL, username=actor.name),
        created_at=asked_at,
        input_parameters=request.start.parameters,
        arguments=request.start.arguments,
        priority=request.start.priority,
        timeout_sec=request.start.timeout_sec,
        callback=request.start.callback,
        group=Group(
            script=request.script,
            entities=_within(actor.scope, request.entities, chosen),
            max_parallel=request.max_parallel,
            skipped=chosen.skipped,
        ),
    )
