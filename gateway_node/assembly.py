# SPDX-License-Identifier: Apache-2.0
"""The rooms, assembled: what is made of what, opened in order and closed in the opposite one.

ROS aside, whose node exists before there is a loop: `main.py` brings the two together.
"""

from collections.abc import AsyncIterator, Mapping
import contextlib
from dataclasses import dataclass, field
import platform
from typing import Any, TYPE_CHECKING

from gateway_node import __version__
from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.lock_book import LockBook
from gateway_node.access.locks import Locks, LockSettings
from gateway_node.access.seen_entities import SeenEntities
from gateway_node.access.seen_scripts import SeenScripts
from gateway_node.access_room import access_room, AccessRoom, audit_trail
from gateway_node.adapters import Adapters, open_adapters
from gateway_node.callbacks.allowed import AllowedDestinations
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.callbacks.sending import Sender
from gateway_node.clock import Clock
from gateway_node.entities.values import NodeName
from gateway_node.evidence.no_robot import NoRobotWitness
from gateway_node.evidence.ports import RobotWitness
from gateway_node.evidence_room import early_witness, evidence_room, Witnessed
from gateway_node.http_server.application import Application
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.http_server.host_names import host_names
from gateway_node.http_server.open_connections import ConnectionLimits, connections_within
from gateway_node.http_server.origins import own_names
from gateway_node.http_server.server import Server
from gateway_node.http_server.services import api_base, Services
from gateway_node.http_server.stream_places import StreamPlaces, StreamSettings
from gateway_node.inner_rooms import AskedOfAccess, inner_rooms, InnerRooms
from gateway_node.proximity_assembly import proximity_check
from gateway_node.ros.configuration import Configuration
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.running import Gateway
from gateway_node.self_tests import SelfTests
from gateway_node.server_room import opened_certificates
from gateway_node.side_tasks import SideTasks
from gateway_node.storage.callback_store import SqliteCallbackStore
from gateway_node.storage.database import SQLITE_VERSION
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances
from gateway_node.triggers.ports import RobotValues
from gateway_node.triggers_room import instances_of, triggers_of, watched_robot

if TYPE_CHECKING:
    from gateway_node.access.one_time_codes import CodeDisplay


@dataclass(frozen=True, kw_only=True)
class NodeSide:
    """What comes with the node, which exists before there is a loop."""

    name: NodeName
    versions: Mapping[str, str]
    """Of ROS and of its middleware."""
    unseen_nodes: UnseenNodes
    namesakes: Namesakes
    robot_values: RobotValues
    robot_witness: RobotWitness = field(default_factory=NoRobotWitness)
    """Sees what evidence is taken of."""
    code_display: 'CodeDisplay | None' = None
    """Where one-time codes are shown in the graph, if they are."""


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
        access = await access_room(configuration, clock)
        adapters = await open_adapters(configuration, clock, side_tasks, undo)
        allowed = AllowedDestinations(configuration.callbacks.allowed)
        lock_book = LockBook(clock, adapters.store.up_sec)
        instance_book = InstanceBook()
        displays = _code_displays(configuration, adapters, node_side)
        proximity = proximity_check(configuration.proximity, clock, displays)
        watched = watched_robot(node_side.robot_values, instance_book, clock, undo)
        witness = early_witness(configuration, adapters, instance_book)
        asked = AskedOfAccess(
            allowed=allowed,
            lock_book=lock_book,
            instance_book=instance_book,
            proximity=proximity,
            credentials=access.script_credentials,
            preconditions=watched.preconditions,
            witness=witness,
        )
        inner = await inner_rooms(configuration, adapters, node_side.name, asked, undo)
        versions = {**_own_versions(), **node_side.versions}
        seen = await evidence_room(
            configuration,
            adapters,
            witness,
            Witnessed(
                robot=node_side.robot_witness,
                executions=inner.executions,
                library=inner.library,
                instances=instance_book,
                directory=inner.directory,
                versions=versions,
            ),
            undo,
        )
        locks = _locks(configuration, adapters, inner, lock_book)
        instances = instances_of(
            instance_book, lock_book, configuration, adapters, inner.library, inner.executions
        )
        triggers = triggers_of(instances, adapters, inner.executions, watched)
        callbacks = _callbacks(configuration, adapters, inner, allowed)

        async def conditions() -> dict[str, Any]:
            return {
                'gateway': instance,
                **await _conditions(
                    adapters,
                    inner,
                    access,
                    callbacks,
                    instances,
                    triggers,
                    audit,
                    node_side,
                    server,
                ),
            }

        audit = _audit(configuration, adapters, undo)
        limits = _connection_limits(configuration)
        certificates = await opened_certificates(configuration.server.tls)
        services = Services(
            directory=SeenEntities(inner.directory),
            library=SeenScripts(inner.library),
            script_changes=inner.executions.script_changes,
            executions=inner.executions.service,
            questions=inner.executions.questions,
            once_only=inner.executions.once_only,
            many=inner.executions.many,
            statistics=inner.executions.statistics,
            callbacks=callbacks,
            locks=locks,
            instances=instances,
            triggers=triggers,
            event_pages=inner.executions.event_pages,
            evidence=seen.evidence,
            streams=inner.executions.streams,
            versions=versions,
            conditions=conditions,
            clock=clock,
            started=clock.monotonic(),
            authentication=access.authentication,
            rates=access.rates,
            proximity=proximity,
            sessions=access.sessions,
            audit=audit,
            open_probes=configuration.auth.open_probes,
            own_names=own_names(await host_names(), configuration.server.names),
            stream_places=StreamPlaces(_stream_settings(configuration, limits)),
            path_prefix=configuration.server.path_prefix,
            speaks_tls=certificates is not None,
            allowed_origins=configuration.cors.allowed_origins,
            trusted_proxies=TrustedProxies(configuration.server.trusted_proxies),
        )
        server = Server(Application(services, strict=strict), limits, certificates)
        await adapters.runner_started
        yield Gateway(
            runner=adapters.runner,
            directory=inner.directory,
            identities=inner.identities,
            executions=inner.executions,
            access=access,
            callbacks=callbacks,
            locks=locks,
            instances=instances,
            triggers=triggers,
            manifests=inner.manifests,
            self_tests=SelfTests(inner.directory, inner.executions.script_changes),
            certificates=certificates,
            server=server,
            base=services.base,
            side_tasks=side_tasks,
            unseen_nodes=node_side.unseen_nodes,
            namesakes=node_side.namesakes,
            vigil=seen.vigil,
        )


def _code_displays(
    configuration: Configuration, adapters: Adapters, node_side: NodeSide
) -> 'list[CodeDisplay]':
    command = configuration.proximity.command
    displays: list[CodeDisplay] = [adapters.runner.code_command(command)] if command else []
    return displays + ([node_side.code_display] if node_side.code_display is not None else [])


async def _conditions(
    adapters: Adapters,
    inner: InnerRooms,
    access: AccessRoom,
    callbacks: Callbacks,
    instances: Instances,
    triggers: Triggers,
    audit: AuditTrail | None,
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
            *access.warnings,
            *callbacks.warnings,
            *instances.warnings,
            *(audit.warnings if audit is not None else ()),
            *filter(None, [await adapters.free_space.shortage()]),
            *inner.manifests.warnings,
            *node_side.unseen_nodes.warnings(alone=not inner.directory.any_online),
            *node_side.namesakes.warnings,
        ],
        'callbacks': callbacks.figures,
        'triggers': triggers.figures,
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
    inner: InnerRooms,
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


def _locks(
    configuration: Configuration, adapters: Adapters, inner: InnerRooms, book: LockBook
) -> Locks:
    """Return what changes the locks of a book, which the executions have as their guard."""
    return Locks(
        book=book,
        ledger=inner.executions.ledger,
        store=adapters.store,
        clock=adapters.clock,
        settings=LockSettings(
            max_expiration_sec=configuration.locks.max_expiration_sec,
            breakable=configuration.locks.breakable,
        ),
    )


def _audit(
    configuration: Configuration, adapters: Adapters, undo: contextlib.AsyncExitStack
) -> AuditTrail | None:
    """Return what notes requests, from now on; `undo` has it write what is left."""
    trail = audit_trail(configuration, adapters.state_key, adapters.clock)
    if trail is not None:
        undo.push_async_callback(trail.close)
        trail.open()
    return trail


def _own_versions() -> dict[str, str]:
    return {
        'gateway': __version__,
        'python': platform.python_version(),
        'sqlite': SQLITE_VERSION,
    }


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
