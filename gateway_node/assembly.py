# SPDX-License-Identifier: Apache-2.0
"""The rooms, assembled: what is made of what, opened in order and closed in the opposite one.

ROS aside, whose node exists before there is a loop: `main.py` brings the two together.
"""

from collections.abc import (
    AsyncIterator,
    Mapping,
    Sequence,
)
import contextlib
from dataclasses import dataclass
import functools
import platform
import socket
from typing import Any

from gateway_node import __version__
from gateway_node.adapters import Adapters, open_adapters
from gateway_node.callbacks.allowed import AllowedDestinations
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.callbacks.sending import Sender
from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.host import remembers_host
from gateway_node.entities.identities import Identity
from gateway_node.entities.identity_keeper import IdentityKeeper
from gateway_node.entities.values import EntityType, NodeName
from gateway_node.executions.documents import archived_execution
from gateway_node.executions.kept_versions import versions_to_keep
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.room import execution_room, ExecutionRoom
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.settings import (
    ConcurrencyLimits,
    ExecutionSettings,
    LineSettings,
    RestartSettings,
)
from gateway_node.executions.store_ports import LogPolicy, RetentionPolicy
from gateway_node.executions.values import Executor
from gateway_node.http_server.application import Application
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.http_server.host_names import host_names
from gateway_node.http_server.open_connections import ConnectionLimits, connections_within
from gateway_node.http_server.origins import own_names
from gateway_node.http_server.server import Server
from gateway_node.http_server.services import api_base, Services
from gateway_node.http_server.stream_places import StreamPlaces, StreamSettings
from gateway_node.reloading import ManifestReload
from gateway_node.ros.configuration import Configuration
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.running import Gateway
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.side_tasks import SideTasks
from gateway_node.start_files import ManifestReader, Manifests
from gateway_node.storage.archive import MonthlyArchive
from gateway_node.storage.callback_store import SqliteCallbackStore
from gateway_node.storage.database import SQLITE_VERSION
from gateway_node.storage.identity_store import SqliteIdentityStore

DAY_SEC = 86400.0


@dataclass(frozen=True, kw_only=True)
class NodeSide:
    """What comes with the node, which exists before there is a loop."""

    name: NodeName
    versions: Mapping[str, str]
    """Of ROS and of its middleware."""
    unseen_nodes: UnseenNodes
    namesakes: Namesakes


@contextlib.asynccontextmanager
async def assemble(
    configuration: Configuration,
    node_side: NodeSide,
    *,
    instance: str,
    clock: Clock,
    side_tasks: SideTasks,
    strict: bool = False,
) -> AsyncIterator[Gateway]:
    """Open every room but ROS's; close them in the opposite order. Raises START_ERRORS.

    `strict` is for tests, see `Application`.
    """
    async with contextlib.AsyncExitStack() as undo:
        adapters = await open_adapters(configuration, clock, side_tasks, undo)
        allowed = AllowedDestinations(configuration.callbacks.allowed)
        inner = await _inner_rooms(configuration, adapters, node_side.name, allowed, undo)
        callbacks = _callbacks(configuration, adapters, inner, allowed)

        async def conditions() -> dict[str, Any]:
            return {
                'gateway': instance,
                **await _conditions(adapters, inner, callbacks, node_side, server),
            }

        limits = _connection_limits(configuration)
        services = Services(
            directory=inner.directory,
            library=inner.library,
            script_changes=inner.executions.script_changes,
            executions=inner.executions.service,
            questions=inner.executions.questions,
            once_only=inner.executions.once_only,
            many=inner.executions.many,
            statistics=inner.executions.statistics,
            callbacks=callbacks,
            event_pages=inner.executions.event_pages,
            streams=inner.executions.streams,
            versions={**_own_versions(), **node_side.versions},
            conditions=conditions,
            clock=clock,
            started=clock.monotonic(),
            own_names=own_names(await host_names(), configuration.server.names),
            stream_places=StreamPlaces(_stream_settings(configuration, limits)),
            path_prefix=configuration.server.path_prefix,
            trusted_proxies=TrustedProxies(configuration.server.trusted_proxies),
        )
        server = Server(Application(services, strict=strict), limits)
        await adapters.runner_started
        yield Gateway(
            runner=adapters.runner,
            directory=inner.directory,
            identities=inner.identities,
            executions=inner.executions,
            callbacks=callbacks,
            manifests=inner.manifests,
            server=server,
            base=services.base,
            side_tasks=side_tasks,
            unseen_nodes=node_side.unseen_nodes,
            namesakes=node_side.namesakes,
        )


@dataclass(frozen=True, kw_only=True)
class _InnerRooms:
    """Entities, scripts and executions, and what has their manifests read anew."""

    library: ScriptLibrary
    executions: ExecutionRoom
    archive: MonthlyArchive | None
    """None where what is removed from the history is not archived."""
    directory: EntityDirectory
    identities: IdentityKeeper
    manifests: ManifestReload


async def _inner_rooms(
    configuration: Configuration,
    adapters: Adapters,
    own_node: NodeName,
    allowed: AllowedDestinations,
    undo: contextlib.AsyncExitStack,
) -> _InnerRooms:
    reader = ManifestReader(
        entities=configuration.entities.manifest, scripts=configuration.scripts.manifest
    )
    manifests = await reader.read()
    library = await _open_library(configuration, adapters, manifests)
    undo.push_async_callback(library.close)
    archive_dir = configuration.history.archive_dir
    archive = None if archive_dir is None else MonthlyArchive(archive_dir, archived_execution)
    executions = await _execution_room(
        configuration, adapters, own_node, library, archive, allowed, undo
    )
    directory, identities = await _entities(
        configuration, adapters, manifests, own_node, library, executions.service
    )
    return _InnerRooms(
        library=library,
        executions=executions,
        archive=archive,
        directory=directory,
        identities=identities,
        manifests=ManifestReload(
            reader=reader,
            directory=directory,
            library=library,
            script_changes=executions.script_changes,
        ),
    )


async def _conditions(
    adapters: Adapters,
    inner: _InnerRooms,
    callbacks: Callbacks,
    node_side: NodeSide,
    server: Server,
) -> dict[str, Any]:
    """Return what /health shows of the rooms; what is wrong, each of them tells itself."""
    runner = adapters.runner
    return {
        'warnings': [
            *adapters.database.warnings,
            *(inner.archive.warnings if inner.archive is not None else ()),
            *runner.environment_warnings,
            *runner.warm_warnings,
            *inner.library.warnings,
            *server.warnings,
            *callbacks.warnings,
            *filter(None, [await adapters.free_space.shortage()]),
            *inner.manifests.warnings,
            *node_side.unseen_nodes.warnings(alone=not inner.directory.any_online),
            *node_side.namesakes.warnings,
        ],
        'callbacks': callbacks.figures,
        'connections': server.connections,
        'supervision': {
            **runner.containment,
            'spawner_restarts': runner.spawner_restarts,
            'warm_interpreter': runner.warm_state,
        },
    }


def _callbacks(
    configuration: Configuration,
    adapters: Adapters,
    inner: _InnerRooms,
    allowed: AllowedDestinations,
) -> Callbacks:
    """Return what tells of ends, from now on."""
    executions = inner.executions
    base = api_base(configuration.server.path_prefix)
    callbacks = Callbacks(
        store=SqliteCallbackStore(adapters.database, adapters.store.up_sec),
        sender=Sender(allowed, adapters.clock, secret_file=configuration.callbacks.secret_file),
        documents=AnsweredEnds(executions.questions, base),
        clock=adapters.clock,
    )
    executions.ledger.add_listener(callbacks)
    return callbacks


async def _execution_room(
    configuration: Configuration,
    adapters: Adapters,
    own_node: NodeName,
    library: ScriptLibrary,
    archive: MonthlyArchive | None,
    allowed: AllowedDestinations,
    undo: contextlib.AsyncExitStack,
) -> ExecutionRoom:
    room = execution_room(
        library=library,
        schemas=adapters.schemas,
        store=adapters.store,
        runner=adapters.runner,
        free_space=adapters.free_space,
        clock=adapters.clock,
        executor=Executor(name=own_node.fully_qualified_name, host=socket.gethostname()),
        settings=_execution_settings(configuration),
        last_id=await adapters.store.last_id(),
        check_callback=allowed.check,
        archive=archive,
    )
    log_lines = LogLines()
    room.ledger.add_listener(log_lines)
    undo.callback(log_lines.write)
    return room


async def _entities(
    configuration: Configuration,
    adapters: Adapters,
    manifests: Manifests,
    own_node: NodeName,
    library: ScriptLibrary,
    executions: ExecutionService,
) -> tuple[EntityDirectory, IdentityKeeper]:
    """Return the directory of entities, with the ids that are remembered, and what keeps them."""
    store = SqliteIdentityStore(adapters.database)
    remembered = await store.load_identities()
    directory = EntityDirectory(
        host_name=socket.gethostname(),
        own_node=own_node,
        clock=adapters.clock,
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


def _own_versions() -> dict[str, str]:
    return {
        'gateway': __version__,
        'python': platform.python_version(),
        'sqlite': SQLITE_VERSION,
    }


async def _open_library(
    configuration: Configuration, adapters: Adapters, manifests: Manifests
) -> ScriptLibrary:
    scripts = configuration.scripts
    library = ScriptLibrary(
        scripts_dir=scripts.scripts_dir,
        max_file_bytes=scripts.max_file_size_bytes,
        schemas=adapters.schemas,
        clock=adapters.clock,
        managed=manifests.scripts,
        prefix_path=adapters.runner.prefix_path,
        allow_uploads=scripts.allow_uploads,
        max_scripts=scripts.max_scripts or 0,
    )
    await library.open(functools.partial(versions_to_keep, adapters.store))
    return library


def _connection_limits(configuration: Configuration) -> ConnectionLimits:
    total = connections_within(
        configuration.server.max_connections, configuration.scripts.max_concurrent_executions
    )
    return ConnectionLimits(total=total)


def _stream_settings(configuration: Configuration, limits: ConnectionLimits) -> StreamSettings:
    streams = configuration.streams
    # No stream gives way, so that no number of them may keep requests out.
    return StreamSettings(
        max_streams=min(streams.max, limits.total // 2),
        max_per_client=streams.max_per_client,
        heartbeat_sec=streams.heartbeat_sec,
    )


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
        line=LineSettings(
            max_waiting=configuration.executions.max_waiting,
            max_wait_sec=configuration.line.max_wait_sec,
        ),
    )
