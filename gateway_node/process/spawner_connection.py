# SPDX-License-Identifier: Apache-2.0
"""The gateway's end of one spawner process: what is asked of it, and what it tells."""

import asyncio
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import signal
import socket
import subprocess

from gateway_node.child.exposed_files import open_fresh
from gateway_node.child.messages import ProcessNote, SpawnerMessage
from gateway_node.child.process_tree import continue_if_stopped, has_ended
from gateway_node.child.wire import receive_packet
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.process.spawner_program import SpawnerProgram

_ANSWER_SEC = 10.0
_STOPPED_SEC = 1.0
"""After which an answer that does not come is a reason to look whether the spawner is stopped."""
_MAX_LOG_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class TreeGone:
    """What a spawner says of a supervisor that has ended: what is left below it, if anything."""

    unkillable: tuple[ProcessNote, ...]


@dataclass(frozen=True, kw_only=True)
class WaitingSupervisor:
    """A supervisor that waits for its order. Whoever has it closes its channel and its pidfd."""

    name: str
    pid: int
    pidfd: int
    channel: socket.socket
    gone: asyncio.Future[TreeGone]
    """Tells that all below it is gone; cancelled with its spawner."""

    @property
    def lives(self) -> bool:
        """True unless it was killed meanwhile."""
        return not has_ended(self.pidfd)

    def dismiss(self) -> None:
        """Let it go without an order: it ends by itself."""
        self.channel.close()
        os.close(self.pidfd)


class SpawnerConnection:
    """One spawner process.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, program: SpawnerProgram, log_file: Path) -> None:
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self._forked: dict[str, asyncio.Future[tuple[int, int]]] = {}
        self._gone: dict[str, asyncio.Future[TreeGone]] = {}
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own_pidfd = os.pidfd_open(os.getpid())
        try:
            with open(_open_log(log_file), 'ab') as log:
                if log.tell() > _MAX_LOG_BYTES:
                    log.truncate(0)
                self.process = _execute(program, theirs.fileno(), own_pidfd, log.fileno())
            self._pidfd = os.pidfd_open(self.process.pid)
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
            os.close(own_pidfd)
        self._control.setblocking(False)
        self._loop.add_reader(self._control.fileno(), self._receive)
        self._loop.add_reader(self._pidfd, self._end)

    @property
    def lives(self) -> bool:
        """True where the spawner has not died, be that noticed or not."""
        return not self.lost.is_set() and not has_ended(self._pidfd)

    async def fork(self, name: str) -> WaitingSupervisor:
        """Have a supervisor of this name forked. A spawner that does not answer is killed.

        Raises:
            RunnerUnavailable: there is none at the moment, or no process can be made.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise RunnerUnavailable(f'no process can be made: {error.strerror}') from error
        forked = self._forked[name] = self._loop.create_future()
        gone = self._gone[name] = self._loop.create_future()
        try:
            with theirs:
                socket.send_fds(self._control, [name.encode()], [theirs.fileno()])
            async with asyncio.timeout(_ANSWER_SEC):
                await asyncio.wait({forked}, timeout=_STOPPED_SEC)
                if not forked.done():
                    self.continue_if_stopped()
                pid, pidfd = await forked
        except BaseException as error:
            ours.close()
            self._gone.pop(name, None)
            if _succeeded(forked):
                # Whoever waited was cancelled when the answer had come already.
                os.close(forked.result()[1])
            if not isinstance(error, OSError):
                raise
            # A socket full of requests is no sign that nobody serves them.
            if not isinstance(error, BlockingIOError):
                self.kill()
            raise RunnerUnavailable('the process that starts scripts does not answer') from error
        finally:
            self._forked.pop(name, None)
        return WaitingSupervisor(name=name, pid=pid, pidfd=pidfd, channel=ours, gone=gone)

    def continue_if_stopped(self) -> None:
        """Continue the spawner where a script has stopped it."""
        if not self.lost.is_set():
            continue_if_stopped(self._pidfd)

    def kill(self) -> None:
        """Kill the spawner; `lost` tells that it is gone."""
        if not self.lost.is_set():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def say_goodbye(self) -> None:
        """Close the control socket: the spawner ends when nothing is left below it."""
        self._loop.remove_reader(self._control.fileno())
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
            self._loop.remove_reader(self._control.fileno())

    def _take(self, message: SpawnerMessage, descriptors: list[int]) -> None:
        match message['event']:
            case 'ready':
                self.ready.set()
            case 'forked':
                waiting = self._forked.pop(message['name'], None)
                if waiting is None or waiting.done():
                    for descriptor in descriptors:
                        os.close(descriptor)
                elif descriptors:
                    waiting.set_result((message['pid'], descriptors[0]))
                else:
                    waiting.set_exception(RunnerUnavailable('too many open files'))
            case 'refused':
                waiting = self._forked.pop(message['name'], None)
                if waiting is not None and not waiting.done():
                    refusal = f'no process can be made: {message["message"]}'
                    waiting.set_exception(RunnerUnavailable(refusal))
            case 'gone':
                report = TreeGone(unkillable=tuple(message['unkillable']))
                ending = self._gone.pop(message['name'], None)
                if ending is not None and not ending.done():
                    ending.set_result(report)

    def _end(self) -> None:
        """Reap the process, which has ended, and tell all who wait."""
        self._loop.remove_reader(self._pidfd)
        self._receive_rest()
        self.process.wait()
        os.close(self._pidfd)
        for forked in self._forked.values():
            if not forked.done():
                forked.set_exception(RunnerUnavailable('the spawner has died'))
        self._forked.clear()
        for gone in self._gone.values():
            gone.cancel()
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


def _open_log(path: Path) -> int:
    # A script can have put a pipe or a link there.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError:
        return open_fresh(str(path))


def _succeeded(forked: 'asyncio.Future[tuple[int, int]]') -> bool:
    return forked.done() and not forked.cancelled() and forked.exception() is None


def _execute(
    program: SpawnerProgram, control: int, gateway_pidfd: int, log: int
) -> 'subprocess.Popen[bytes]':
    """Execute the spawner: its own session, nothing inherited but its two descriptors."""
    return subprocess.Popen(
        [*program.argv, str(control), str(gateway_pidfd)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=(control, gateway_pidfd),
        env=program.environment,
        cwd='/',
        start_new_session=True,
    )
