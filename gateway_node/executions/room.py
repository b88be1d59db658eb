# SPDX-License-Identifier: Apache-2.0
"""The room of executions, assembled: for the gateway as for the tests of it."""

from dataclasses import dataclass
import secrets

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.event_pages import EventPages
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.many import Many
from gateway_node.executions.once_only import OnceOnly
from gateway_node.executions.ports import (
    Archive,
    CallbackCheck,
    EntityGuard,
    FreeSpace,
    InstanceVersions,
    NoInstances,
    NoScriptCredentials,
    NoWitness,
    ScriptCredentials,
    Witness,
)
from gateway_node.executions.preconditions import NoPreconditionCheck, PreconditionCheck
from gateway_node.executions.proximity import NoProximityCheck, ProximityCheck
from gateway_node.executions.questions import Questions
from gateway_node.executions.runner_ports import ScriptRunner
from gateway_node.executions.scanned_statistics import Statistics
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.settings import ExecutionSettings
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.streams import Streams
from gateway_node.executions.values import Executor
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.ports import SchemaChecker


@dataclass(frozen=True, kw_only=True)
class ExecutionRoom:
    """What the other rooms have of this one."""

    ledger: Ledger
    service: ExecutionService
    questions: Questions
    script_changes: ScriptChanges
    once_only: OnceOnly
    many: Many
    statistics: Statistics
    event_pages: EventPages
    streams: Streams


class _Open:
    """An `EntityGuard` that keeps nobody out."""

    def check(self, entity: EntityRef | None, actor: Actor) -> None:
        """Return."""


def execution_room(
    *,
    library: ScriptLibrary,
    schemas: SchemaChecker,
    store: ExecutionStore,
    runner: ScriptRunner,
    free_space: FreeSpace,
    clock: Clock,
    executor: Executor,
    settings: ExecutionSettings,
    last_id: str | None,
    check_callback: CallbackCheck,
    proximity: ProximityCheck | None = None,
    credentials: ScriptCredentials | None = None,
    archive: Archive | None = None,
    guard: EntityGuard | None = None,
    witness: Witness | None = None,
    preconditions: PreconditionCheck | None = None,
    instances: InstanceVersions | None = None,
    fingerprint_key: bytes | None = None,
) -> ExecutionRoom:
    """Make the room of the library and of what its ports are; `last_id` is the store's.

    Without a `guard` no entity is closed to anybody. `fingerprint_key` is for hashes of what was
    asked for, which the store keeps; without, each room has another one. Nothing runs yet:
    `ScriptChanges.open` and `ExecutionService.open` follow.
    """
    ledger = Ledger(store)
    guard = guard or _Open()
    service = ExecutionService(
        library=library,
        schemas=schemas,
        store=store,
        runner=runner,
        free_space=free_space,
        ledger=ledger,
        ids=ExecutionIds(last_id),
        clock=clock,
        executor=executor,
        settings=settings,
        check_callback=check_callback,
        proximity=proximity or NoProximityCheck(),
        credentials=credentials or NoScriptCredentials(),
        archive=archive,
        guard=guard,
        witness=witness or NoWitness(),
        preconditions=preconditions or NoPreconditionCheck(),
        instances=instances or NoInstances(),
    )
    script_changes = ScriptChanges(
        library=library,
        executions=service,
        store=store,
        ledger=ledger,
        free_space=free_space,
        guard=guard,
    )
    streams = Streams(log=store.log, runner=runner, questions=service.questions, clock=clock)
    ledger.add_listener(streams)
    ledger.add_progress_listener(streams)
    return ExecutionRoom(
        ledger=ledger,
        service=service,
        questions=service.questions,
        script_changes=script_changes,
        once_only=OnceOnly(store.keys, fingerprint_key or secrets.token_bytes(32)),
        many=Many(service, service.questions),
        statistics=Statistics(store, clock),
        event_pages=EventPages(store),
        streams=streams,
    )
