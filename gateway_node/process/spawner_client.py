# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of spawners: keeps one alive."""

import asyncio
from collections.abc import Callable
import logging
from pathlib import Path
import time
from typing import Literal

from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.process.spawner_connection import SpawnerConnection, WaitingSupervisor
from gateway_node.process.spawner_program import SpawnerProgram
from gateway_node.side_tasks import SideTasks

_log = logging.getLogger(__name__)

_READY_SEC = 10.0
_STOPPED_INTERVAL_SEC = 0.25
"""How often a spawner that is not ready yet, and that a script can stop, is continued."""
_RESTART_DELAY_SEC = 0.05
_MAX_RESTART_DELAY_SEC = 5.0
_STEADY_SEC = 10.0
"""A spawner that lived as long is no sign that the next one will die at once."""


class SpawnerClient:
    """Keeps one spawner alive.

    `on_started` is told the pid of each, `on_ready` that it serves, `on_lost` of its unexpected
    end.
    """

    def __init__(
        self,
        program: SpawnerProgram,
        log_file: Path,
        *,
        on_started: Callable[[int], None],
        on_ready: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None],
        side_tasks: SideTasks,
    ) -> None:
        self._program = program
        self._side_tasks = side_tasks
        self._log_file = log_file
        self._on_started = on_started
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._connection: SpawnerConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self.restarts = 0
        """How often the spawner died and was started again."""

    @property
    def available(self) -> bool:
        """True where supervisors can be asked for."""
        connection = self._connection
        return (
            connection is not None and connection.ready.is_set() and not connection.lost.is_set()
        )

    @property
    def lives(self) -> bool:
        """True where the spawner has not died, be that noticed or not."""
        return self._connection is not None and self._connection.lives

    async def start(self) -> None:
        """Start the spawner and keep it alive from now on.

        Raises:
            RunnerUnavailable: it does not come up.
        """
        self._keeper = self._side_tasks.start('keep a spawner alive', self._keep())
        try:
            async with asyncio.timeout(_READY_SEC):
                await self._started.wait()
        except TimeoutError:
            await self.close()
            raise RunnerUnavailable(
                f'the spawner does not come up; see {self._log_file}'
            ) from None

    async def fork(self, name: str) -> WaitingSupervisor:
        """Return a new supervisor that waits for its order, of a name that no other one had.

        Whoever asks closes its channel and its pidfd.

        Raises:
            RunnerUnavailable: there is no spawner at the moment, or no process can be made.
        """
        connection = self._connection
        if connection is None or not self.available:
            raise RunnerUnavailable('the process that starts scripts is being restarted')
        supervisor = await connection.fork(name)
        if connection.lost.is_set():
            supervisor.dismiss()
            raise RunnerUnavailable('the process that starts scripts is being restarted')
        return supervisor

    async def close(self, patience_sec: float = 5.0) -> None:
        """End the spawner; it ends by itself once nothing is left below it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        connection, self._connection = self._connection, None
        if connection is None or connection.lost.is_set():
            return
        connection.say_goodbye()
        try:
            async with asyncio.timeout(patience_sec):
                await connection.lost.wait()
        except TimeoutError:
            _log.warning('the spawner does not end, it is killed: pid %d', connection.process.pid)
            connection.kill()
            await connection.lost.wait()

    def continue_if_stopped(self) -> None:
        """Continue the spawner where a script has stopped it."""
        if self._connection is not None:
            self._connection.continue_if_stopped()

    def force_restart(self) -> None:
        """Kill a spawner that does not answer; the next one is started at once."""
        if self._connection is not None:
            self._connection.kill()

    async def _keep(self) -> None:
        """Start a spawner whenever there is none; ever later where they die at once."""
        delay_sec = _RESTART_DELAY_SEC
        while True:
            began = time.monotonic()
            try:
                connection = self._connection = SpawnerConnection(self._program, self._log_file)
            except OSError as error:
                _log.error('the spawner cannot be started, it is tried again: %s', error)
            else:
                await self._keep_connection(connection)
            if time.monotonic() - began > _STEADY_SEC:
                delay_sec = _RESTART_DELAY_SEC
            await asyncio.sleep(delay_sec)
            delay_sec = min(2 * delay_sec, _MAX_RESTART_DELAY_SEC)

    async def _keep_connection(self, connection: SpawnerConnection) -> None:
        """Return once the spawner has died, and all who have to know are told."""
        self._on_started(connection.process.pid)
        ready = asyncio.create_task(connection.ready.wait())
        lost = asyncio.create_task(connection.lost.wait())
        try:
            await self._await_ready(connection, {ready, lost})
            if connection.ready.is_set():
                self._started.set()
                self._on_ready()
            await lost
        finally:
            ready.cancel()
            lost.cancel()
        self.restarts += 1
        _log.error('the spawner died and is started again: pid %d', connection.process.pid)
        self._on_lost()

    async def _await_ready(
        self, connection: SpawnerConnection, signs: set[asyncio.Task[Literal[True]]]
    ) -> None:
        """Wait for one of the signs; a spawner that does not come up is killed."""
        give_up_at = time.monotonic() + _READY_SEC
        while not any(sign.done() for sign in signs):
            await asyncio.wait(
                signs, timeout=_STOPPED_INTERVAL_SEC, return_when=asyncio.FIRST_COMPLETED
            )
            connection.continue_if_stopped()
            if time.monotonic() > give_up_at:
                connection.kill()
