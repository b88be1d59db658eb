# SPDX-License-Identifier: Apache-2.0
"""The rooms, assembled: what is made of what, opened in order and closed in the opposite one.

ROS aside, whose node exists before there is a loop: `main.py` brings the two together.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Iterable,
    Mapping,
    Sequence,
)
import contextlib
import platform
import socket
from typing import Any

from gateway_node import __version__
from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.host import remembers_host
from gateway_node.entities.identities import Identity
from gateway_node.entities.identity_keeper import IdentityKeeper
from gateway_node.entities.values import EntityType, NodeName
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.ports import LogPolicy, RetentionPolicy
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.settings import (
    ConcurrencyLimits,
    ExecutionSettings,
    RestartSettings,
)
from gateway_node.http_server.application import build_application
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.http_server.host_names import host_names
from gateway_node.http_server.open_connections import ConnectionLimits, connections_within
from gateway_node.http_server.origins import own_names
from gateway_node.http_server.server import Server
from gateway_node.http_server.services import Services
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.process.schema_worker import SchemaWorker
from gateway_node.reloading import ManifestReload
from gateway_node.ros.configuration import Configuration
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.running import Gateway
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import EVERY_VERSION
from gateway_node.side_tasks import SideTasks
from gateway_node.start_files import ManifestReader, Manifests, private_scripts
from gateway_node.storage.database import Database, SQLITE_VERSION
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.free_space import StateSpace
from gateway_node.storage.identity_store import SqliteIdentityStore
from gateway_node.storage.lock import StateDirectoryLock
from gateway_node.storage.private import keep_private

DAY_SEC = 86400.0


@contextlib.asynccontextmanager
async def assemble(
    configuration: Configuration,
    *,
    own_node: NodeName,
    instance: str,
    ros_versions: Mapping[str, str],
    unseen_nodes: UnseenNodes,
    namesakes: Namesakes,
    clock: Clock,
    side_tasks: SideTasks,
    strict: bool = False,
) -> AsyncIterator[Gateway]:
    """Open every room but ROS's; close them in the opposite order. Raises START_ERRORS.

    `strict` is for tests, see `build_application`.
    """
    own_processes = OwnProcesses()
    async with contextlib.AsyncExitStack() as undo:
        database, store = await _open_storage(configuration, clock, undo)
        schemas = SchemaWorker(own_processes=own_processes)
        undo.push_async_callback(schemas.close)
        runner = _runner(configuration, side_tasks, own_processes, clock)
        undo.push_async_callback(runner.close)
        await runner.start_up()
        reader = ManifestReader(
            entities=configuration.entities.manifest, scripts=configuration.scripts.manifest
        )
        manifests = await reader.read()
        library = await _open_library(configuration, manifests, schemas, store, clock)
        undo.push_async_callback(library.close)
        free_space = StateSpace(configuration.state_dir, configuration.state_min_free_mb, clock)
        ledger = Ledger(store)
        log_lines = LogLines()
        ledger.add_listener(log_lines)
        undo.callback(log_lines.write)
        executions = ExecutionService(
            library=library,
            schemas=schemas,
            store=store,
            runner=runner,
            free_space=free_space,
            ledger=ledger,
            ids=ExecutionIds(await store.last_id()),
            clock=clock,
            settings=_execution_settings(configuration),
        )
        script_changes = ScriptChanges(
            library=library,
            executions=executions,
            store=store,
            ledger=ledger,
            free_space=free_space,
        )
        directory, identities = await _entities(
            configuration,
            own_node,
            manifests,
            SqliteIdentityStore(database),
            library,
            executions,
            clock,
        )
        reload = ManifestReload(
            reader=reader, directory=directory, library=library, script_changes=script_changes
        )

        async def conditions() -> dict[str, Any]:
            shortage = await free_space.shortage()
            hidden = unseen_nodes.warnings(alone=not directory.any_online)
            warnings = (
                *filter(None, [shortage]),
                *reload.warnings,
                *hidden,
                *namesakes.warnings,
            )
            shown = _conditions(runner, database, library, server, warnings)
            return {'gateway': instance, **shown}

        services = Services(
            directory=directory,
            library=library,
            script_changes=script_changes,
            executions=executions,
            versions={**_own_versions(), **ros_versions},
            conditions=conditions,
            clock=clock,
            started=clock.monotonic(),
            own_names=own_names(await host_names(), configuration.server.names),
            path_prefix=configuration.server.path_prefix,
            trusted_proxies=TrustedProxies(configuration.server.trusted_proxies),
        )
        server = Server(
            build_application(services, strict=strict), _connection_limits(configuration)
        )
        yield Gateway(
            runner=runner,
            directory=directory,
            identities=identities,
            executions=executions,
            script_changes=script_changes,
            ledger=ledger,
            server=server,
            side_tasks=side_tasks,
            unseen_nodes=unseen_nodes,
            namesakes=namesakes,
            manifests=reload,
        )


async def _open_storage(
    configuration: Configuration, clock: Clock, undo: contextlib.AsyncExitStack
) -> tuple[Database, SqliteExecutionStore]:
    """Take the state directory for this gateway alone, and open what is kept there."""
    lock = await asyncio.to_thread(StateDirectoryLock.acquire, configuration.state_dir, clock)
    undo.callback(lock.release)
    await asyncio.to_thread(keep_private, configuration.state_dir)
    if configuration.scripts.scripts_dir is not None:
        await private_scripts(configuration.scripts.scripts_dir)
    database = await Database.open(configuration.state_dir)
    undo.push_async_callback(database.close)
    store = await SqliteExecutionStore.open(database, clock)
    undo.push_async_callback(store.close)
    return database, store


def _runner(
    configuration: Configuration,
    side_tasks: SideTasks,
    own_processes: OwnProcesses,
    clock: Clock,
) -> SupervisedScriptRunner:
    return SupervisedScriptRunner(
        configuration.state_dir,
        side_tasks=side_tasks,
        own_processes=own_processes,
        setup_files=configuration.environment.setup_files,
        default_limits=configuration.default_limits,
        keep_working_directories=configuration.scripts.keep_working_directories,
        clock=clock,
    )


async def _entities(
    configuration: Configuration,
    own_node: NodeName,
    manifests: Manifests,
    store: SqliteIdentityStore,
    library: ScriptLibrary,
    executions: ExecutionService,
    clock: Clock,
) -> tuple[EntityDirectory, IdentityKeeper]:
    """Return the directory of entities, with the ids that are remembered, and what keeps them."""
    remembered = await store.load_identities()
    directory = EntityDirectory(
        host_name=socket.gethostname(),
        own_node=own_node,
        clock=clock,
        is_held=lambda ref: library.has_scripts(ref) or executions.concern(ref),
        manifest=manifests.entities,
        ignored_nodes=configuration.entities.ignored_nodes,
        remembered=remembered,
        used_components=await _used_components(store, library, remembered),
    )
    return directory, IdentityKeeper(store=store, directory=directory, kept=remembered)


async def _used_components(
    identities: SqliteIdentityStore, library: ScriptLibrary, remembered: Sequence[Identity]
) -> tuple[str, ...]:
    """Return what may be the host where an earlier gateway noted everything but that.

    Uploads beside an empty database prove nothing: any component may have had them.
    """
    if remembers_host(remembered):
        return ()
    uploaded = (
        sorted(
            ref.entity_id
            for ref in library.entities_with_uploads()
            if ref.entity_type is EntityType.COMPONENT
        )
        if remembered
        else []
    )
    return (*await identities.used_components(), *uploaded)


def _conditions(
    runner: SupervisedScriptRunner,
    database: Database,
    library: ScriptLibrary,
    server: Server,
    graph_warnings: Iterable[str],
) -> dict[str, Any]:
    """Return what /health shows of processes, storage, scripts, addresses and the graph."""
    warnings = [
        f'a corrupt database was set aside: {path}; outputs are kept until it is removed'
        for path in database.set_aside
    ]
    if database.write_error is not None:
        warnings.append(
            f'nothing can be recorded: {database.write_error}; executions that have ended are '
            'shown as running until it can'
        )
    if damaged := library.set_aside:
        warnings.append(
            f'damaged scripts were set aside and are not served: {len(damaged)} in '
            f'{damaged[0].parent}'
        )
    warnings.extend(runner.environment_warnings)
    warnings.extend(library.warnings)
    warnings.extend(server.warnings)
    warnings.extend(graph_warnings)
    return {
        'warnings': warnings,
        'connections': server.connections,
        'supervision': {**runner.containment, 'spawner_restarts': runner.spawner_restarts},
    }


def _own_versions() -> dict[str, str]:
    return {
        'gateway': __version__,
        'python': platform.python_version(),
        'sqlite': SQLITE_VERSION,
    }


async def _open_library(
    configuration: Configuration,
    manifests: Manifests,
    schemas: SchemaWorker,
    store: SqliteExecutionStore,
    clock: Clock,
) -> ScriptLibrary:
    in_use = frozenset(each.script_version for each in await store.open_executions())
    scripts = configuration.scripts
    library = ScriptLibrary(
        scripts_dir=scripts.scripts_dir,
        max_file_bytes=scripts.max_file_size_bytes,
        schemas=schemas,
        clock=clock,
        managed=manifests.scripts,
        allow_uploads=scripts.allow_uploads,
        max_scripts=scripts.max_scripts or 0,
    )
    await library.open(EVERY_VERSION if store.may_have_forgotten else in_use)
    return library


def _connection_limits(configuration: Configuration) -> ConnectionLimits:
    total = connections_within(
        configuration.server.max_connections, configuration.scripts.max_concurrent_executions
    )
    return ConnectionLimits(total=total)


def _execution_settings(configuration: Configuration) -> ExecutionSettings:
    scripts, history, restart = configuration.scripts, configuration.history, configuration.restart
    return ExecutionSettings(
        default_timeout_sec=scripts.default_timeout_sec,
        stop_grace_period_sec=scripts.stop_grace_period_sec,
        concurrency=ConcurrencyLimits(
            max_executions=scripts.max_concurrent_executions,
            max_executions_per_entity=scripts.max_concurrent_executions_per_entity,
        ),
        retention=RetentionPolicy(
            max_executions=history.max_executions or 0,
            max_age_sec=(history.max_age_days or 0) * DAY_SEC,
            max_failed_age_sec=(history.max_failed_age_days or 0) * DAY_SEC,
            max_disk_bytes=history.max_disk_bytes,
        ),
        log=LogPolicy(
            max_events=configuration.log.max_events or 0,
            max_age_sec=(configuration.log.max_age_days or 0) * DAY_SEC,
        ),
        restarts=RestartSettings(
            max_schedules=restart.max_schedules or 0,
            min_interval_sec=restart.min_interval_sec,
            entity_timeout_sec=restart.entity_timeout_sec,
            start_prepared=restart.start_prepared,
        ),
    )
