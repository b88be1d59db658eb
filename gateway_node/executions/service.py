"""The execution service: starts, finds, stops and deletes executions, and ends them all.

It lives on the event loop and holds the open executions in memory; the ended ones are the
store's.
"""

import asyncio
from collections.abc import Mapping
import contextlib
from dataclasses import dataclass, field
import logging
from typing import Any

from gateway_node.entities.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.admission import Admission
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    ExecutionTypeNotAvailable,
    GatewayShuttingDown,
    ProximityNotAvailable,
    ScriptHasOpenExecutions,
    StoreUnavailable,
)
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.live import LiveExecution
from gateway_node.executions.ports import (
    ExecutionPage,
    ExecutionStore,
    RetentionPolicy,
    ScriptRunner,
    StartOrder,
)
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Output,
    StopAction,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.schemas import SchemaChecker
from gateway_node.scripts.values import Script

_log = logging.getLogger(__name__)

STOP_WAIT_SEC = 1.0
"""Seconds that a stop waits for the tree to go before it answers."""
PRUNE_BATCH = 100
"""Executions that one clean-up of the history removes at most."""


@dataclass(frozen=True, kw_only=True)
class ExecutionSettings:
    """What the configuration says about executions."""

    default_timeout_sec: float
    stop_grace_period_sec: float
    max_executions: int
    max_executions_per_entity: int
    retention: RetentionPolicy


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """A client's wish to start an execution."""

    execution_type: ExecutionType
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    username: str | None = None


class ExecutionService:
    """Owns every execution of this gateway."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        schemas: SchemaChecker,
        store: ExecutionStore,
        runner: ScriptRunner,
        ledger: Ledger,
        ids: ExecutionIds,
        clock: Clock,
        settings: ExecutionSettings,
    ) -> None:
        self._library = library
        self._schemas = schemas
        self._store = store
        self._runner = runner
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._admission = Admission(
            max_executions=settings.max_executions,
            max_executions_per_entity=settings.max_executions_per_entity,
        )
        self._live: dict[str, LiveExecution] = {}
        self._entities: set[EntityRef] = set()
        self._let_go_of_one = asyncio.Event()
        self._driving: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self, entity: EntityRef, script_id: str, request: StartRequest) -> Execution:
        """Record a new execution and begin to start it; return it as recorded.

        Raises:
            GatewayShuttingDown, ScriptNotFound, ParametersInvalid, ScriptAlreadyRunning,
            ConcurrencyLimitReached, StoreUnavailable, RunnerUnavailable, SchemaCheckUnavailable:
                as their names say; nothing was recorded.
            FeatureNotAvailable: the execution type, the script's kind or its proof of proximity.
        """
        while True:
            script = await self._library.get(entity, script_id)
            order = await self._vetted_order(entity, script, request)
            if (await self._library.get(entity, script_id)).version == script.version:
                break
        if self._closing:
            raise GatewayShuttingDown
        # From here to the entry in _live there is no await: two starts cannot both pass.
        self._admission.check(entity, script, self.open_executions())
        execution = self._new_execution(order, request)
        live = LiveExecution(
            execution, order, runner=self._runner, ledger=self._ledger, clock=self._clock
        )
        self._live[execution.id] = live
        self._entities.add(entity)
        try:
            await self._ledger.begin(execution)
        except BaseException:
            self._let_go(live)
            raise
        driving = asyncio.create_task(self._drive(live), name=f'drive {execution.id}')
        self._driving.add(driving)
        driving.add_done_callback(self._driving.discard)
        return execution

    async def get(self, entity: EntityRef, script_id: str, execution_id: str) -> Execution:
        """Return an execution, open or ended; ExecutionNotFound."""
        live = self._live.get(execution_id)
        execution = live.execution if live else await self._store.get(execution_id)
        if execution is None or execution.entity != entity or execution.script_id != script_id:
            raise ExecutionNotFound(execution_id)
        return execution

    async def output(self, execution_id: str) -> Output:
        """Return what is kept of an execution's output, also while it runs."""
        return await self._runner.output(execution_id)

    async def page(
        self, entity: EntityRef, script_id: str, *, limit: int, before: str | None
    ) -> ExecutionPage:
        """Return a script's executions, newest first; ScriptNotFound where nothing knows it."""
        page = await self._store.page(entity, script_id, limit=limit, before=before)
        if not page.executions:
            await self._library.get(entity, script_id)
        present = (
            live.execution if (live := self._live.get(execution.id)) else execution
            for execution in page.executions
        )
        return ExecutionPage(executions=tuple(present), more=page.more)

    async def stop(
        self,
        entity: EntityRef,
        script_id: str,
        execution_id: str,
        action: StopAction,
        *,
        username: str | None = None,
    ) -> Execution:
        """End an execution; wait a moment for its tree to go, then return it as it is.

        Raises:
            ExecutionNotFound: the script has no such execution.
            ExecutionNotStoppable: it has ended.
        """
        execution = await self.get(entity, script_id, execution_id)
        trigger = Trigger(type=TriggerType.MANUAL, setting=action.value, username=username)
        live = self._live.get(execution_id)
        if live is None:
            raise ExecutionNotStoppable(execution_id, execution.status)
        if not live.stop(action, trigger):
            await live.wait_ended()
            raise ExecutionNotStoppable(execution_id, live.execution.status)
        await self._ledger.note(live.execution)
        # Past the wait it resists: the answer then says `terminating`.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(live.wait_ended(), STOP_WAIT_SEC)
        return live.execution

    async def delete(self, entity: EntityRef, script_id: str, execution_id: str) -> None:
        """Remove an ended execution with all that was kept of it.

        Raises:
            ExecutionNotFound: the script has no such execution.
            ExecutionNotDeletable: it has not ended.
        """
        execution = await self.get(entity, script_id, execution_id)
        if execution.is_open:
            raise ExecutionNotDeletable(execution_id, execution.status)
        await self._remove(execution_id)

    async def delete_script(self, entity: EntityRef, script_id: str) -> None:
        """Remove a script; its ended executions stay readable.

        Raises:
            ScriptNotFound, ScriptIsManaged: as their names say.
            ScriptHasOpenExecutions: stop those first.
        """
        await self._library.get(entity, script_id)
        open_ids = tuple(e.id for e in self.open_executions() if e.script_id == script_id)
        if open_ids:
            raise ScriptHasOpenExecutions(script_id, open_ids)
        await self._library.delete(entity, script_id)

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that open executions need."""
        return frozenset(
            live.order.script.version
            for live in self._live.values()
            if live.order.script.id == script_id
        )

    async def present_version(self, entity: EntityRef, script_id: str) -> str | None:
        """Return the version that a script has now; None where the script is gone."""
        try:
            return (await self._library.get(entity, script_id)).version
        except ScriptNotFound:
            return None

    def concern(self, entity: EntityRef) -> bool:
        """Tell whether an execution of this entity is kept."""
        return entity in self._entities

    def open_executions(self) -> tuple[Execution, ...]:
        """Return the executions that have not ended."""
        return tuple(e for live in self._live.values() if (e := live.execution).is_open)

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        return await self._store.counts()

    def close(self) -> None:
        """Accept nothing more and ask every open execution to end; `wait_closed` follows."""
        self._closing = True
        self._stop_all(StopAction.STOP)

    def kill(self) -> None:
        """Kill what `close` asked to end."""
        self._stop_all(StopAction.FORCED_TERMINATION)

    async def wait_closed(self) -> None:
        """Wait until every execution has its final status."""
        while self._live:
            self._let_go_of_one.clear()
            await self._let_go_of_one.wait()
        if self._driving:
            await asyncio.wait(self._driving)

    def _stop_all(self, action: StopAction) -> None:
        trigger = Trigger(type=TriggerType.SYSTEM, setting='shutdown')
        for live in self._live.values():
            live.stop(action, trigger)

    async def _vetted_order(
        self, entity: EntityRef, script: Script, request: StartRequest
    ) -> StartOrder:
        if self._closing:
            raise GatewayShuttingDown
        if request.execution_type is not ExecutionType.NOW:
            raise ExecutionTypeNotAvailable(request.execution_type)
        if script.proximity_proof_required:
            raise ProximityNotAvailable(script.id)
        if script.parameters_schema is not None:
            await self._schemas.check_parameters(script.parameters_schema, request.parameters)
        order = StartOrder(
            execution_id=self._ids.next(self._clock.now()),
            entity=entity,
            script=script,
            parameters=request.parameters,
            arguments=(*declared_arguments(script, request.parameters), *request.arguments),
            timeout_sec=script.timeout_sec or self._settings.default_timeout_sec,
            stop_grace_period_sec=self._settings.stop_grace_period_sec,
        )
        await self._runner.vet(order)
        return order

    def _new_execution(self, order: StartOrder, request: StartRequest) -> Execution:
        return Execution(
            id=order.execution_id,
            entity=order.entity,
            script_id=order.script.id,
            script_version=order.script.version,
            execution_type=request.execution_type,
            status=ExecutionStatus.PREPARED,
            trigger=Trigger(type=TriggerType.MANUAL, username=request.username),
            created_at=self._clock.now(),
            input_parameters=request.parameters,
            arguments=order.arguments,
        )

    async def _drive(self, live: LiveExecution) -> None:
        try:
            await live.drive()
        finally:
            self._let_go(live)
        await self._prune()

    def _let_go(self, live: LiveExecution) -> None:
        del self._live[live.order.execution_id]
        self._let_go_of_one.set()

    async def _prune(self) -> None:
        """Remove ended executions that the retention policy does not keep."""
        policy = self._settings.retention
        try:
            for execution_id in await self._store.expired(policy, limit=PRUNE_BATCH):
                await self._remove(execution_id)
        except StoreUnavailable as error:
            _log.warning('cannot prune the history: %s', error)

    async def _remove(self, execution_id: str) -> None:
        await self._store.remove(execution_id)
        await self._runner.discard(execution_id)
