# SPDX-License-Identifier: Apache-2.0
"""A gateway without ROS and without processes, served on a port of its own.

Library and HTTP are the real ones; the scripts are `FakeScript`s, so that a test can hold an
execution in any state.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
import contextlib
from dataclasses import dataclass
import ipaddress
import json
from pathlib import Path
import ssl
from typing import Any

from aiohttp import ClientResponse, ClientSession, FormData, TCPConnector
from declared_answers import check_declared
from evidence_support import early_witness, EvidenceStage, opened_stage
from fakes import (
    EXECUTOR,
    FakeClock,
    FakeFreeSpace,
    FakeRobot,
    FakeSchemaChecker,
    FakeScript,
    FakeScriptRunner,
    InMemoryCallbackStore,
    InMemoryExecutionStore,
    KEEP_THE_LOG,
    RecordingListener,
)
from watched_robot import preconditions_on

from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.authentication import Authentication
from gateway_node.access.lock_book import LockBook
from gateway_node.access.locks import Locks, LockSettings
from gateway_node.access.rates import Rates, RateSettings
from gateway_node.access.seen_entities import SeenEntities
from gateway_node.access.seen_scripts import SeenScripts
from gateway_node.access.sessions import Sessions
from gateway_node.callbacks.allowed import AllowedDestinations, entry_of
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.callbacks.sending import Sender
from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.entities_manifest import Declaration, EntitiesManifest
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.proximity import NoProximityCheck, ProximityCheck
from gateway_node.executions.room import execution_room
from gateway_node.executions.room_parts import Outside
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.settings import (
    ConcurrencyLimits,
    ExecutionSettings,
    LineSettings,
    RestartSettings,
)
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.streams import Streams
from gateway_node.http_server.application import Application
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.http_server.certificates import Certificates
from gateway_node.http_server.forwarding import TrustedProxies
from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.origins import own_names
from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES
from gateway_node.http_server.server import Server
from gateway_node.http_server.services import Patience, Services
from gateway_node.http_server.stream_places import StreamPlaces, StreamSettings
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.storage.audit_files import AuditFiles
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances, InstanceSettings
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Watches

BASE = '/api/v1'
TEMP_SENSOR = NodeName(namespace='/powertrain/engine', name='temp_sensor')
OWN_NODE = NodeName(namespace='/', name='gateway_node')
HOST = 'robot'
ALLOWED_HOST = 'fleet.example'
RECEIVER = 'receiver.example'
"""Of callbacks, which are not sent here."""

_CONDITIONS = {
    'gateway': 'robot-1',
    'warnings': [],
    'callbacks': {'waiting': 0, 'delivering': 0, 'delivered': 0, 'failed': 0},
    'connections': {'open': 1, 'limit': 256, 'refused': 0},
    'supervision': {
        'mechanism': 'supervisor',
        'cgroup': None,
        'controllers': [],
        'reason': 'no permission',
        'limits': {'memory_mb': 'sampling'},
        'spawner_restarts': 0,
        'warm_interpreter': 'off',
    },
}
"""What /health shows of the other rooms where nothing is amiss."""

_MANIFEST = EntitiesManifest(
    components=(Declaration(id='engine_ecu', name='Engine ECU', nodes=('/ecu/*',)),),
    functions=(Declaration(id='monitoring', name='Monitoring', namespaces=('/powertrain/*',)),),
)


@dataclass(frozen=True, kw_only=True)
class Api:
    """The served gateway and what a test moves it with."""

    client: ClientSession
    address: str
    """`host:port`."""
    url_of_scripts: str
    """Where scripts reach it."""
    trust: ssl.SSLContext | None
    """What its clients have where it speaks TLS."""
    directory: EntityDirectory
    library: ScriptLibrary
    executions: ExecutionService
    runner: FakeScriptRunner
    free_space: FakeFreeSpace
    store: InMemoryExecutionStore
    listener: RecordingListener
    clock: FakeClock
    robot: FakeRobot
    streams: Streams
    instances: Instances
    ledger: Ledger
    audit_folder: Path
    """Where the audit is kept."""
    seen: EvidenceStage
    """What was around executions."""

    async def close(self) -> None:
        """End all executions and then all streams, as a gateway that ends."""
        self.executions.close()
        await self.executions.wait_closed()
        await self.streams.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, for what no client library would send."""
        host, _, port = self.address.partition(':')
        return await asyncio.open_connection(host, int(port), ssl=self.trust)

    async def request(self, method: str, path: str, **options: Any) -> ClientResponse:
        """Send a request to a path below the base; the answer is what its route declares."""
        response = await self.client.request(method, f'{BASE}{path}', **options)
        await check_declared(method, path, response)
        return response

    async def json(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Send a request; return status and body."""
        response = await self.request(method, path, **options)
        return response.status, await response.json()

    async def upload(
        self, entity: str, *, name: str = 'check.sh', content: bytes = b'true\n', **metadata: Any
    ) -> str:
        """Upload a script; return its id."""
        status, body = await self.json(
            'POST', f'/{entity}/scripts', data=form(content, name, metadata)
        )
        assert status == 201, body
        return str(body['id'])

    async def start(self, entity: str, script_id: str, **body: Any) -> str:
        """Start an execution; return its id."""
        status, answer = await self.json(
            'POST',
            f'/{entity}/scripts/{script_id}/executions',
            json={'execution_type': 'now', **body},
        )
        assert status == 202, answer
        return str(answer['id'])

    async def running(self, entity: str, script_id: str, **body: Any) -> tuple[str, FakeScript]:
        """Start an execution and wait until it runs; return its id and its script."""
        execution_id = await self.start(entity, script_id, **body)
        script = await self.runner.script(execution_id)
        path = f'/{entity}/scripts/{script_id}/executions/{execution_id}'
        while (await self.json('GET', path))[1]['status'] == 'prepared':
            pass  # each turn is a request: the loop goes on meanwhile
        return execution_id, script


def form(content: bytes, name: str, metadata: dict[str, Any] | None = None) -> FormData:
    """Build the multipart form of an upload."""
    data = FormData()
    data.add_field('file', content, filename=name)
    if metadata:
        data.add_field('metadata', json.dumps(metadata), content_type='application/json')
    return data


async def nothing_amiss() -> dict[str, Any]:
    """Tell what /health shows of the other rooms."""
    return dict(_CONDITIONS)


@contextlib.asynccontextmanager
async def serve_api(
    directory: Path,
    *,
    scripts: bool = True,
    allow_uploads: bool = True,
    max_executions: int = 50,
    max_executions_per_entity: int = 50,
    max_schedules: int = 0,
    max_waiting: int = 100,
    max_scripts: int = 0,
    max_file_bytes: int = 1024 * 1024,
    managed: tuple[ManagedScript, ...] = (),
    schemas: SchemaChecker | None = None,
    patience: Patience | None = None,
    proximity: Callable[[Clock], ProximityCheck] | None = None,
    path_prefix: str = '',
    trusted_proxies: tuple[str, ...] = (),
    certificates: Certificates | None = None,
    trust: ssl.SSLContext | None = None,
    open_probes: bool = True,
    allowed_origins: tuple[str, ...] = (),
    streams: StreamSettings | None = None,
    locks_breakable: bool = True,
    max_instances: int = 1000,
    rates: RateSettings | None = None,
    routes: Sequence[Route[Any, Any]] = ROUTES,
    strict: bool = True,
    recovering: bool = False,
    audited: bool = True,
    audit_required: bool = False,
    authentication: Authentication | None = None,
    sessions: Sessions | None = None,
    connections: ConnectionLimits | None = None,
) -> AsyncIterator[Api]:
    """Serve a gateway whose graph holds `/powertrain/engine/temp_sensor`.

    It speaks TLS where it has `certificates`; `trust` is what its client has then.

    Where it is `recovering` it is not open yet.
    """
    clock = FakeClock()
    store = InMemoryExecutionStore(clock)
    lock_book = LockBook(clock, store.up_sec)
    instance_book = InstanceBook()
    schemas = schemas or FakeSchemaChecker()
    runner = FakeScriptRunner(obedient=True)
    free_space = FakeFreeSpace()
    listener = RecordingListener()
    robot = FakeRobot()
    preconditions = preconditions_on(robot, book=instance_book)
    witness = early_witness(clock, instance_book)
    check_proximity = NoProximityCheck() if proximity is None else proximity(clock)
    library = ScriptLibrary(
        scripts_dir=directory / 'scripts' if scripts else None,
        max_file_bytes=max_file_bytes,
        schemas=schemas,
        clock=clock,
        managed=managed,
        allow_uploads=allow_uploads,
        max_scripts=max_scripts,
    )
    await library.open()
    allowed = AllowedDestinations([entry_of(RECEIVER)])
    room = execution_room(
        Outside(
            library=library,
            schemas=schemas,
            store=store,
            runner=runner,
            free_space=free_space,
            clock=clock,
            executor=EXECUTOR,
            settings=ExecutionSettings(
                default_timeout_sec=300,
                stop_grace_period_sec=5,
                concurrency=ConcurrencyLimits(
                    max_executions=max_executions,
                    max_executions_per_entity=max_executions_per_entity,
                ),
                retention=RetentionPolicy(
                    max_executions=1000, max_age_sec=0, max_failed_age_sec=0
                ),
                log=KEEP_THE_LOG,
                restarts=RestartSettings(
                    min_interval_sec=60,
                    entity_timeout_sec=30,
                    start_prepared=False,
                    max_schedules=max_schedules,
                ),
                line=LineSettings(max_waiting=max_waiting, max_wait_sec=600),
            ),
            check_callback=allowed.check,
            guard=lock_book,
            instances=instance_book,
            proximity=check_proximity,
            preconditions=preconditions,
            witness=witness,
        ),
        last_id=None,
    )
    documents = AnsweredEnds(room.questions, BASE)
    seen = opened_stage(
        witness,
        room=room,
        library=library,
        instances=instance_book,
        runner=runner,
        free_space=free_space,
        documents=documents,
        clock=clock,
    )
    callbacks = Callbacks(
        store=InMemoryCallbackStore(store, clock),
        sender=Sender(allowed, clock),
        documents=documents,
        clock=clock,
    )
    room.ledger.add_listener(callbacks)
    executions = room.service
    listener.listen_to(room.ledger)
    entities = EntityDirectory(
        host_name=HOST,
        own_node=OWN_NODE,
        clock=clock,
        is_held=lambda ref: (
            library.has_scripts(ref) or executions.concern(ref) or instance_book.holds(ref)
        ),
        manifest=_MANIFEST,
    )
    locks = Locks(
        book=lock_book,
        ledger=room.ledger,
        store=store,
        clock=clock,
        settings=LockSettings(max_expiration_sec=3600, breakable=locks_breakable),
    )
    instances = Instances(
        book=instance_book,
        library=library,
        executions=executions,
        ledger=room.ledger,
        store=store.instance_store,
        guard=lock_book,
        clock=clock,
        settings=InstanceSettings(max_instances=max_instances, max_rate_hz=20.0),
    )
    room.script_changes.on_deleted(instances.script_deleted)
    turns = Turns()
    triggers = Triggers(
        instances=instances,
        executions=executions,
        ledger=room.ledger,
        store=store.instance_store,
        turns=turns,
        watches=Watches(robot, turns),
        timers=Timers(clock.monotonic, turns),
        clock=clock,
        records=store,
    )
    if not recovering:
        await locks.open(entities)
        await instances.open(entities.refs())
        await executions.open(entities)
        await triggers.open()
    entities.update(GraphSnapshot(nodes=frozenset({TEMP_SENSOR, OWN_NODE})))
    if not recovering:
        instances.take_managed(entities.refs())
    # Beside the directory: what a refused request leaves there is nothing.
    audit_folder = directory.with_name(f'{directory.name}_audit')
    audit = AuditTrail(
        AuditFiles(audit_folder, clock, max_file_bytes=1024 * 1024, max_files=10),
        clock,
        key=b'key',
        required=audit_required,
    )
    application = Application(
        Services(
            directory=SeenEntities(entities),
            library=SeenScripts(library),
            script_changes=room.script_changes,
            executions=executions,
            questions=room.questions,
            once_only=room.once_only,
            many=room.many,
            statistics=room.statistics,
            event_pages=room.event_pages,
            evidence=seen.evidence,
            streams=room.streams,
            callbacks=callbacks,
            locks=locks,
            instances=instances,
            triggers=triggers,
            versions={'gateway': 'test', 'sqlite': '3.45.1'},
            conditions=nothing_amiss,
            clock=clock,
            started=clock.monotonic(),
            own_names=own_names([HOST], [ALLOWED_HOST]),
            audit=audit if audited else None,
            authentication=authentication
            or Authentication(allow_anonymous_access=bool(trusted_proxies)),
            sessions=sessions,
            open_probes=open_probes,
            proximity=check_proximity,
            patience=patience or Patience(),
            stream_places=StreamPlaces(streams or StreamSettings()),
            path_prefix=path_prefix,
            speaks_tls=certificates is not None,
            allowed_origins=allowed_origins,
            rates=Rates(rates or RateSettings(), clock.monotonic),
            trusted_proxies=TrustedProxies(map(ipaddress.ip_network, trusted_proxies)),
        ),
        routes,
        strict=strict,
    )
    connector = TCPConnector(ssl=trust or True)
    async with (
        serve(application, certificates, connections) as served,
        ClientSession(served.url, connector=connector) as client,
    ):
        yield Api(
            client=client,
            address=served.url.partition('://')[2],
            url_of_scripts=served.url_of_scripts,
            trust=trust,
            directory=entities,
            library=library,
            executions=executions,
            runner=runner,
            free_space=free_space,
            store=store,
            listener=listener,
            clock=clock,
            robot=robot,
            streams=room.streams,
            instances=instances,
            ledger=room.ledger,
            audit_folder=audit_folder,
            seen=seen,
        )
        runner.release()
        store.unavailable = None
        triggers.close()
        executions.close()
        executions.kill()
        await executions.wait_closed()
        await triggers.wait_closed()
        await room.streams.close()
        await seen.keeping.close()
    await audit.close()
    preconditions.close()
    assert not robot.watched


@dataclass(frozen=True, kw_only=True)
class Served:
    """Where an application is reached."""

    url: str
    url_of_scripts: str


@contextlib.asynccontextmanager
async def serve(
    application: Application,
    certificates: Certificates | None = None,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[Served]:
    """Serve an application as the gateway does."""
    server = Server(application, limits or ConnectionLimits(), certificates)
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    try:
        yield Served(url=url, url_of_scripts=server.url_of_scripts)
    finally:
        await server.stop_accepting()
        await server.close()
