# SPDX-License-Identifier: Apache-2.0
"""The assembled gateway while it runs: opened, told of the graph, closed."""

import asyncio
from collections.abc import Awaitable, Coroutine
import contextlib
import logging
from typing import Any, TYPE_CHECKING
from urllib.parse import urlsplit

from gateway_node.access.errors import AnonymousAccessUnwanted
from gateway_node.access.locks import Locks
from gateway_node.access_room import AccessRoom
from gateway_node.callbacks.callback_service import Callbacks
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.errors import EntityNotFound
from gateway_node.entities.identity_keeper import IdentityKeeper
from gateway_node.entities.values import EntityRef, GraphSnapshot
from gateway_node.evidence.vigil import Vigil
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.room import ExecutionRoom
from gateway_node.http_server.server import Server
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.reloading import ManifestReload
from gateway_node.ros.namesakes import Namesakes
from gateway_node.ros.unseen_nodes import UnseenNodes
from gateway_node.self_tests import SelfTests
from gateway_node.side_tasks import SideTasks
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_service import Instances

if TYPE_CHECKING:
    from gateway_node.http_server.certificates import Certificates

_log = logging.getLogger(__name__)

TEND_SEC = 600.0
"""Seconds after which entities are looked after although the graph did not change."""
RETRY_SEC = 5.0
"""Seconds after which ids that could not be kept are tried again."""


class Gateway:
    """The assembled rooms, ROS aside."""

    def __init__(
        self,
        *,
        runner: SupervisedScriptRunner,
        directory: EntityDirectory,
        identities: IdentityKeeper,
        executions: ExecutionRoom,
        access: AccessRoom,
        callbacks: Callbacks,
        locks: Locks,
        instances: Instances,
        triggers: Triggers,
        certificates: 'Certificates | None',
        server: Server,
        base: str,
        side_tasks: SideTasks,
        unseen_nodes: UnseenNodes,
        namesakes: Namesakes,
        manifests: ManifestReload,
        self_tests: SelfTests,
        vigil: Vigil,
    ) -> None:
        """Take the rooms; `base` is the path of the API below the server's URLs."""
        self._side_tasks = side_tasks
        self._tasks: list[asyncio.Task[None]] = []
        self.runner = runner
        self.directory = directory
        self.ledger = executions.ledger
        self._executions = executions.service
        self._streams = executions.streams
        self._script_changes = executions.script_changes
        self._access = access
        self._callbacks = callbacks
        self._locks = locks
        self._instances = instances
        self._triggers = triggers
        self._identities = identities
        self._namesakes = namesakes
        self._manifests = manifests
        self._self_tests = self_tests
        self._vigil = vigil
        self._changed = asyncio.Event()
        self._unseen_nodes = unseen_nodes
        self._certificates = certificates
        self._server = server
        self._base = base

    async def bind(self, host: str, port: int) -> tuple[str, ...]:
        """Take the addresses of the server; return their URLs.

        ListenFailed, AnonymousAccessUnwanted.

        Probes are answered from now on. Who asks for anything else waits until `open` is done.
        """
        urls = await self._server.bind(host, port)
        try:
            self._access.exposure.check(urlsplit(url).hostname or '' for url in urls)
        except AnonymousAccessUnwanted:
            await self._server.stop_accepting()
            raise
        self.runner.serve_at(f'{self._server.url_of_scripts}{self._base}')
        await self._server.serve()
        return urls

    async def open(self) -> None:
        """Bring what an earlier gateway left to an end; StoreUnavailable."""
        await self._script_changes.open()
        await self._locks.open(self.directory)
        await self._instances.open(self.directory.refs())
        await self._executions.open(self.directory)
        await self._triggers.open()
        self._start('keep truths of conditions', self._triggers.keep_truths())
        self._start('send callbacks', self._callbacks.keep_sending())
        if self._access.files:
            self._start('look at who is let in', self._access.keep_looking())
        if self._certificates is not None:
            self._start('look at certificates', self._certificates.keep_looking())
        self._start('tell of locks that are over', self._locks.keep_expiring())
        self._start('look after entities', self._tend_entities())
        self._start('offer self-tests', self._self_tests.keep_offering())
        self._start(
            'look for hidden nodes',
            self._unseen_nodes.keep_looking(lambda: not self.directory.any_online),
        )

    def start_schedules(self) -> None:
        """Start what is still due of the schedules, while clients are answered."""
        self._start('start schedules', self._executions.start_schedules())

    def component_of(self, entity: EntityRef) -> str:
        """Return the id of an entity's component; the entity's own where it is not known."""
        try:
            return self.directory.component_of(entity)
        except EntityNotFound:
            return entity.entity_id

    async def reload_manifests(self) -> None:
        """Take what the manifests say now, or leave all as it is where one is wrong."""
        await self._manifests.reload()
        # Of managed scripts the log tells nothing.
        self._vigil.look_again()
        self._instances.take_managed(self.directory.refs())
        self._changed.set()

    async def read_access_anew(self) -> None:
        """Take what is said now of who is let in; where a file is wrong, what it said holds."""
        await self._access.read_anew()

    async def read_certificates_anew(self) -> None:
        """Serve new connections with what the files of TLS hold now, where it is right."""
        if self._certificates is not None:
            await self._certificates.read_anew()

    def on_graph(self, snapshot: GraphSnapshot) -> None:
        """Take the graph as it is now."""
        self.directory.update(snapshot)
        self._self_tests.note(snapshot)
        self._instances.take_managed(self.directory.refs())
        self._namesakes.note(snapshot.namesakes)
        self._changed.set()

    async def close(self, kill: asyncio.Event) -> None:
        """Take nothing more, end every execution, release the port.

        `kill` set means that nobody waits for a graceful end any more.
        """
        self._triggers.close()
        self._executions.close()
        await self._server.stop_accepting()
        closed = asyncio.ensure_future(self._executions.wait_closed())
        killed = asyncio.ensure_future(kill.wait())
        await asyncio.wait({closed, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not closed.done():
            self._executions.kill()
        await closed
        await self._triggers.wait_closed()
        await self._streams.close()
        await self._server.close()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            self.directory.forget_stale()
            await self._kept(self._identities.keep_exactly())

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._side_tasks.start(name, work))

    async def _tend_entities(self) -> None:
        """Keep new ids, and let go of those that nobody can hold any more."""
        while True:
            kept = await self._kept(self._identities.keep())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TEND_SEC if kept else RETRY_SEC):
                    await self._changed.wait()
            self._changed.clear()
            self.directory.forget_stale()

    @staticmethod
    async def _kept(keeping: Awaitable[None]) -> bool:
        try:
            await keeping
        except StoreUnavailable as error:
            _log.warning('ids of entities are not kept: %s', error)
            return False
        return True
