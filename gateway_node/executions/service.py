# SPDX-License-Identifier: Apache-2.0
"""The execution service: starts, stops and deletes executions, and ends them all.

It lives on the event loop. Open executions are active or wait as schedules; what is asked of
them, and of those that ended, `questions.py` answers.
"""

import asyncio
import contextlib

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    GatewayRecovering,
    GatewayShuttingDown,
    ParentNotRunning,
    StoreUnavailable,
)
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.left_open import recover
from gateway_node.executions.ports import Entities
from gateway_node.executions.room_parts import Outside, Parts
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.starts import asking, candidate_of, StartRequest
from gateway_node.executions.values import Execution, StopAction, Trigger
from gateway_node.scripts.errors import ScriptNotFound

STORE_PATIENCE_SEC = 2.0
"""For the store to say that it is there."""


class ExecutionService:
    """Owns every execution of this gateway."""

    def __init__(self, parts: Parts, outside: Outside) -> None:
        self._library = outside.library
        self._store = outside.store
        self._runner = outside.runner
        self._ledger = parts.ledger
        self._clock = outside.clock
        self._guard = outside.guard
        self._starts_prepared = outside.starts_prepared
        self._retention = parts.retention
        self._held_scripts = parts.held_scripts
        self._admission = parts.admission
        self._further_attempts = parts.further_attempts
        self._active = parts.active
        self._families = parts.families
        self._groups = parts.groups
        self._schedules = parts.schedules
        self._starts = parts.starts
        self._group_starts = parts.group_starts
        self._stops = parts.stops
        self._entities = parts.entities
        self.questions = parts.questions
        self.readiness = parts.readiness
        self.line = parts.line
        self.missing_for = outside.witness.missing_for
        """Says what this machine lacks for the evidence that a policy asks for, by name."""
        self.versions_to_keep = parts.versions_to_keep
        """Tells the versions of a script that open executions need, or that kept ones name."""
        self._sweeping: asyncio.Task[None] | None = None
        self._opened = False
        self._closed = False
        self._opened_or_closed = asyncio.Event()

    async def open(self, directory: EntityDirectory) -> None:
        """End what an earlier gateway left open, then let schedules start their executions.

        Called once, before any other method. Where there are many schedules some wait for
        `start_schedules`. StoreUnavailable where the store cannot be used.
        """
        scripts_on = self._library.turned_on
        await self._retention.open()
        await self._entities.read()
        left = await recover(
            store=self._store,
            runner=self._runner,
            ledger=self._ledger,
            clock=self._clock,
            start_prepared=self._starts_prepared,
            held_scripts=self._held_scripts,
            further_attempts=self._further_attempts,
        )
        await self._held_scripts.read(self._store)
        await self.line.open()
        self._admission.open(directory)
        self.readiness.open(directory)
        self._schedules.add_due(left.schedules)
        await self._groups.restore(left.groups)
        for execution in left.unstarted:
            self._active.begin_accepted(execution)
        self._groups.begin_restored()
        if scripts_on:
            await self._schedules.start_group()
        self._sweeping = asyncio.create_task(
            self._retention.keep_sweeping(), name='sweep the history'
        )
        self._ledger.begin_waiting()
        self._opened = True
        self._opened_or_closed.set()

    async def wait_open(self) -> None:
        """Wait until `open` has returned; GatewayShuttingDown where it never will."""
        await self._opened_or_closed.wait()
        if not self._opened:
            raise GatewayShuttingDown

    async def measure_anew(self, execution_id: str) -> None:
        """Note how much is kept of an ended execution, of which it became more.

        What is then too much goes soon. StoreUnavailable.
        """
        (kept_bytes,) = await self._runner.kept_bytes([execution_id])
        await self._store.measure({execution_id: kept_bytes})
        self._retention.request_sweep()

    async def check_ready(self) -> None:
        """Return where executions can be started and found.

        Raises:
            GatewayShuttingDown, GatewayRecovering: as their names say.
            StoreUnavailable: it cannot be used, or does not answer.
        """
        if self._closed:
            raise GatewayShuttingDown
        if not self._opened:
            raise GatewayRecovering
        try:
            async with asyncio.timeout(STORE_PATIENCE_SEC):
                await self._store.check()
        except TimeoutError as error:
            raise StoreUnavailable('the store does not answer') from error

    async def start_schedules(self) -> None:
        """Let the schedules that `open` left start their executions, while others are served.

        Called once. A schedule that a client ends before its turn starts nothing.
        """
        if self._library.turned_on:
            await self._schedules.start_rest()

    async def start(
        self, entity: EntityRef, script_id: str, request: StartRequest, *, actor: Actor
    ) -> Execution:
        """Record a new execution, and begin to start it or schedule it; return it as recorded.

        Raises:
            GatewayShuttingDown, ScriptNotFound, ParametersInvalid, ScriptAlreadyRunning,
            ConcurrencyLimitReached, ScheduleLimitReached, OpenLimitReached, StoreUnavailable,
            RunnerUnavailable, InstanceAlreadyRunning,
            DiskSpaceLow, SchemaCheckUnavailable, CallbackRefused, ConfirmationNeeded,
            PreconditionsUnmet, EntityLocked: as their names say; nothing was recorded.
            TimeoutTooLong: the script, or the gateway, does not allow such a time limit.
            FeatureNotAvailable: the script's kind or its proof of proximity.
            StartUnattended: a script that requires such a proof starts later, or on several.
            What `ProximityCheck.check` raises: who starts it has not proven to be there.
            ParentForeign, ParentNotRunning, ChildLimitReached, GenerationLimitReached,
            OutlivesScript: of a script's own start.
        """
        actor = asking(request, actor)
        if not actor.scope.is_everything:
            await self._check_seen(entity, script_id, request, actor)
        execution = await self._starts.start(entity, script_id, request, actor)
        self._entities.add([entity])
        return execution

    async def examine(
        self, entity: EntityRef, script_id: str, request: StartRequest, *, actor: Actor
    ) -> StartOrder:
        """Return what a start that is made later would start; raises what `Admission.examine`
        does."""
        return await self._admission.examine(
            candidate_of('', entity, script_id, request, scope=actor.scope)
        )

    async def start_group(
        self, request: GroupRequest, directory: Entities, *, actor: Actor
    ) -> Execution:
        """Record an execution that is the parent of others, one on each entity of the directory
        that is asked for, is seen by the actor and has the script, and begin to start those;
        return it as recorded.

        Raises:
            NothingToStart: no entity has the script.
            What `start` raises, of any of them: nothing was recorded then.
        """
        started = await self._group_starts.start(request, directory, actor)
        self._entities.add(started.entities)
        return started.execution

    async def stop(
        self,
        entity: EntityRef,
        script_id: str,
        execution_id: str,
        action: StopAction,
        *,
        actor: Actor,
        stop_children: bool = True,
        trigger: Trigger | None = None,
    ) -> Execution:
        """End an execution; wait a moment for its tree to go, then return it as it is.

        With it end the executions that its script started, and theirs. `trigger` is what asks for
        it where that is no client: a condition of the instance, which the gateway acts for.

        Raises:
            ExecutionNotFound: the script has no such execution.
            ExecutionNotStoppable: it has ended.
            EntityLocked: its entity is, or that of an execution that would end with it.
            StoreUnavailable: it waits, and that it is stopped cannot be recorded; or it has
                ended, and that could not be. The next gateway then decides.
        """
        seen = self.questions.seen_by(actor.scope)
        execution = await seen.get(entity, script_id, execution_id)
        self._guard.check(entity, actor)
        if stop_children:
            for each in self._families.descendants(execution_id):
                self._guard.check(each.entity, actor)
        return await self._stops.stop(
            execution, action, actor, with_children=stop_children, trigger=trigger
        )

    async def delete(
        self, entity: EntityRef, script_id: str, execution_id: str, *, actor: Actor
    ) -> None:
        """Remove an ended execution, or a schedule, with all that was kept of it.

        Raises:
            ExecutionNotFound, EntityLocked: as their names say.
            ExecutionNotDeletable: it is open and no schedule, or its end is not on record yet.
        """
        seen = self.questions.seen_by(actor.scope)
        execution = await seen.get(entity, script_id, execution_id)
        self._guard.check(entity, actor)
        if execution.is_schedule:
            execution = await self.stop(
                entity, script_id, execution_id, StopAction.STOP, actor=actor
            )
        if execution.is_open:
            active = self._active.get(execution_id) or self._groups.get(execution_id)
            has_ended = active is None or active.decided
            raise ExecutionNotDeletable(execution_id, execution.status, has_ended=has_ended)
        await self._retention.remove(execution_id, actor=actor, cause='client')

    def open_of_instance(self, ref: InstanceRef) -> str | None:
        """Return the id of the open execution of an instance, one that waits or is being let in,
        too; None where there is none."""
        return self._admission.open_of_instance(ref)

    def needing(self, entity: EntityRef, script_id: str) -> tuple[str, ...]:
        """Return the ids of the open executions for which a script must stay."""
        return self._active.needing(entity, script_id)

    async def script_deleted(self, entity: EntityRef, script_id: str, *, actor: Actor) -> None:
        """End the schedules of a script that is gone because of `actor`: they fail."""
        await self._schedules.script_deleted(entity, script_id, actor)

    def scheduled_scripts(self) -> frozenset[tuple[EntityRef, str]]:
        """Return the scripts that schedules wait to start, each with its entity."""
        return self._schedules.scripts()

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that open executions need, or will when let in."""
        return self._admission.versions_in_use(script_id)

    def concern(self, entity: EntityRef) -> bool:
        """Tell whether an execution of this entity is kept, or its part of the line is held."""
        return entity in self._entities or self.line.state(entity).paused

    def close(self) -> None:
        """Accept nothing more and ask every open execution to end; `wait_closed` follows."""
        self._closed = True
        self._opened_or_closed.set()
        self._admission.close()
        self._schedules.close()
        self._ledger.stop_waiting()
        self._active.stop_all(StopAction.STOP)

    def kill(self) -> None:
        """Kill what `close` asked to end."""
        self._active.stop_all(StopAction.FORCED_TERMINATION)

    async def wait_closed(self) -> None:
        """Wait until every execution has its final status."""
        await self._schedules.wait_quiet()
        await self._active.wait_empty()
        await self._groups.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    async def _check_seen(
        self, entity: EntityRef, script_id: str, request: StartRequest, actor: Actor
    ) -> None:
        """Raise ScriptNotFound, or ParentNotRunning, where an actor does not see what it names."""
        if not actor.scope.has(entity, await self._library.get(entity, script_id)):
            raise ScriptNotFound(entity, script_id)
        if request.parent is not None:
            try:
                await self.questions.seen_by(actor.scope).get_by_id(request.parent)
            except ExecutionNotFound as error:
                raise ParentNotRunning(request.parent) from error
