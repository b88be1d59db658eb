"""The gateway's side of the spawner: starts it, asks it for supervisors, starts it again."""

import asyncio
from collections.abc import Callable
import contextlib
from dataclasses import dataclass
import json
import logging
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from gateway_node.child.messages import receive_packet
from gateway_node.executions.errors import RunnerUnavailable

_log = logging.getLogger(__name__)

_READY_SEC = 10.0
_ANSWER_SEC = 10.0
_STOPPED_SEC = 1.0
"""After which an answer that does not come is a reason to look whether the spawner is stopped."""
_RESTART_DELAY_SEC = 0.05
_MAX_RESTART_DELAY_SEC = 5.0
_STEADY_SEC = 10.0
"""A spawner that lived as long is no sign that the next one will die at once."""
_MAX_LOG_BYTES = 1024 * 1024
_GOODBYE_SEC = 5.0


@dataclass(frozen=True, kw_only=True)
class Forked:
    """A supervisor that the spawner forked."""

    pid: int
    pidfd: int
    """The receiver closes it."""


@dataclass(frozen=True, kw_only=True)
class TreeGone:
    """What a spawner says of a supervisor that has ended: nothing is left below it."""

    killed: int
    """Processes that the supervisor had left and the spawner killed."""
    unkillable_pids: tuple[int, ...]


class _Connection:
    """One spawner process."""

    def __init__(self, log_file: Path) -> None:
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self.forked: dict[str, asyncio.Future[Forked]] = {}
        self.gone: dict[str, asyncio.Future[TreeGone]] = {}
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own_pidfd = os.pidfd_open(os.getpid())
        try:
            with open(log_file, 'ab') as log:
                if log.tell() > _MAX_LOG_BYTES:
                    log.truncate(0)
                self.process = _execute(theirs.fileno(), own_pidfd, log.fileno())
            self.pidfd = os.pidfd_open(self.process.pid)
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
            os.close(own_pidfd)
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._receive)
        self._loop.add_reader(self.pidfd, self._end)

    def request(self, name: str, channel: socket.socket) -> None:
        """Ask for a supervisor.

        Raises:
            OSError: the spawner does not listen.
        """
        socket.send_fds(self._control, [name.encode()], [channel.fileno()])

    def say_goodbye(self) -> None:
        """Close the control socket: the spawner ends when nothing is left below it."""
        self._loop.remove_reader(self._control)
        self._control.close()

    def _receive(self) -> None:
        try:
            packet, descriptors = receive_packet(self._control)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b'', []
        if packet:
            self._take(json.loads(packet), descriptors)
        else:
            self._loop.remove_reader(self._control)

    def _take(self, message: dict[str, Any], descriptors: list[int]) -> None:
        match message:
            case {'event': 'ready'}:
                self.ready.set()
            case {'event': 'forked', 'name': name, 'pid': pid}:
                waiting = self.forked.pop(name, None)
                if waiting is None or waiting.done():
                    for descriptor in descriptors:
                        os.close(descriptor)
                elif descriptors:
                    waiting.set_result(Forked(pid=pid, pidfd=descriptors[0]))
                else:
                    waiting.set_exception(RunnerUnavailable('too many open files'))
            case {'event': 'refused', 'name': name, 'message': text}:
                waiting = self.forked.pop(name, None)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(RunnerUnavailable(f'no process can be made: {text}'))
            case {'event': 'gone', 'name': name, 'killed': killed, 'unkillable': pids}:
                report = TreeGone(killed=killed, unkillable_pids=tuple(pids))
                ending = self.gone.pop(name, None)
                if ending is not None and not ending.done():
                    ending.set_result(report)

    def _end(self) -> None:
        """Reap the process, which has ended, and tell all who wait."""
        self._loop.remove_reader(self.pidfd)
        self._receive_rest()
        self.process.wait()
        os.close(self.pidfd)
        for forked in self.forked.values():
            if not forked.done():
                forked.set_exception(RunnerUnavailable('the spawner has died'))
        self.forked.clear()
        self.lost.set()

    def _receive_rest(self) -> None:
        if self._control.fileno() < 0:
            return
        while True:
            try:
                packet, descriptors = receive_packet(self._control)
            except OSError:
                break
            if not packet:
                break
            self._take(json.loads(packet), descriptors)
        self.say_goodbye()


def _succeeded(forked: asyncio.Future[Forked]) -> bool:
    return forked.done() and not forked.cancelled() and forked.exception() is None


def _execute(control: int, gateway_pidfd: int, log: int) -> 'subprocess.Popen[bytes]':
    """Execute the spawner: its own session, nothing inherited but its two descriptors."""
    package_parent = str(Path(__file__).resolve().parent.parent.parent)
    program = (
        'import sys; sys.path.append(sys.argv.pop(1)); '
        'from gateway_node.child.spawner import main; main()'
    )
    return subprocess.Popen(
        [
            sys.executable,
            '-I',
            '-S',
            '-c',
            program,
            package_parent,
            str(control),
            str(gateway_pidfd),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=(control, gateway_pidfd),
        env={'PATH': os.defpath, 'LC_ALL': 'C.UTF-8'},
        cwd='/',
        start_new_session=True,
    )


class SpawnerClient:
    """Keeps one spawner alive.

    `on_started` is told the pid of each, `on_lost` of its unexpected end.
    """

    def __init__(
        self, log_file: Path, on_started: Callable[[int], None], on_lost: Callable[[], None]
    ) -> None:
        self._log_file = log_file
        self._on_started = on_started
        self._on_lost = on_lost
        self._connection: _Connection | None = None
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
    def pid(self) -> int | None:
        """The spawner's pid, where there is one."""
        return None if self._connection is None else self._connection.process.pid

    async def start(self) -> None:
        """Start the spawner and keep it alive from now on.

        Raises:
            RunnerUnavailable: it does not come up.
        """
        self._keeper = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(_READY_SEC):
                await self._started.wait()
        except TimeoutError:
            await self.close()
            raise RunnerUnavailable(
                f'the spawner does not come up; see {self._log_file}'
            ) from None

    async def spawn(
        self, name: str, channel: socket.socket
    ) -> tuple[Forked, asyncio.Future[TreeGone]]:
        """Have a supervisor forked that serves the other end of `channel`.

        The future tells that all below the supervisor is gone; it is cancelled with the spawner.

        Raises:
            RunnerUnavailable: there is no spawner at the moment, or no process can be made.
        """
        connection = self._connection
        if connection is None or not self.available:
            raise RunnerUnavailable('the process that starts scripts is being restarted')
        loop = asyncio.get_running_loop()
        forked = connection.forked[name] = loop.create_future()
        gone = connection.gone[name] = loop.create_future()
        try:
            connection.request(name, channel)
            async with asyncio.timeout(_ANSWER_SEC):
                await asyncio.wait({forked}, timeout=_STOPPED_SEC)
                if not forked.done():
                    self.continue_if_stopped()
                return await forked, gone
        except BaseException as error:
            connection.gone.pop(name, None)
            if _succeeded(forked):
                # Whoever waited was cancelled when the answer had come already.
                os.close(forked.result().pidfd)
            if not isinstance(error, OSError | TimeoutError):
                raise
            self.force_restart()
            raise RunnerUnavailable('the process that starts scripts does not answer') from error
        finally:
            connection.forked.pop(name, None)

    async def close(self) -> None:
        """End the spawner; it ends by itself once nothing is left below it."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        connection, self._connection = self._connection, None
        if connection is None or connection.lost.is_set():
            return
        connection.say_goodbye()
        try:
            async with asyncio.timeout(_GOODBYE_SEC):
                await connection.lost.wait()
        except TimeoutError:
            _log.warning('the spawner does not end, it is killed: pid %d', connection.process.pid)
            connection.process.kill()
            await connection.lost.wait()

    async def _keep(self) -> None:
        """Start a spawner whenever there is none; ever later where they die at once."""
        delay_sec = _RESTART_DELAY_SEC
        while True:
            began = time.monotonic()
            try:
                connection = self._connection = _Connection(self._log_file)
            except OSError:
                _log.exception('the spawner cannot be started, it is tried again')
            else:
                await self._keep_connection(connection)
            if time.monotonic() - began > _STEADY_SEC:
                delay_sec = _RESTART_DELAY_SEC
            await asyncio.sleep(delay_sec)
            delay_sec = min(2 * delay_sec, _MAX_RESTART_DELAY_SEC)

    async def _keep_connection(self, connection: _Connection) -> None:
        """Return once the spawner has died, and all who have to know are told."""
        self._on_started(connection.process.pid)
        ready = asyncio.create_task(connection.ready.wait())
        lost = asyncio.create_task(connection.lost.wait())
        try:
            await asyncio.wait({ready, lost}, return_when=asyncio.FIRST_COMPLETED)
            if connection.ready.is_set():
                self._started.set()
            await lost
        finally:
            ready.cancel()
            lost.cancel()
        self.restarts += 1
        _log.error('the spawner died and is started again: pid %d', connection.process.pid)
        for gone in connection.gone.values():
            gone.cancel()
        self._on_lost()

    def continue_if_stopped(self) -> None:
        """Continue the spawner where a script has stopped it."""
        connection = self._connection
        if connection is None or connection.lost.is_set():
            return
        with contextlib.suppress(OSError):
            if os.waitid(os.P_PIDFD, connection.pidfd, os.WSTOPPED | os.WNOHANG) is not None:
                signal.pidfd_send_signal(connection.pidfd, signal.SIGCONT)

    def force_restart(self) -> None:
        """Kill a spawner that does not answer; the next one is started at once."""
        connection = self._connection
        if connection is not None and not connection.lost.is_set():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(connection.pidfd, signal.SIGKILL)
