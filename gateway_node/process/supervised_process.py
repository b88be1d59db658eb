# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of one execution's supervisor."""

import asyncio
from collections.abc import Callable, Sequence
import contextlib
from dataclasses import replace
import logging
import math
import os
from pathlib import Path
import time
from typing import Any

from gateway_node.child.contract import LINGER_SEC
from gateway_node.child.messages import EndWish, ProcessNote, SupervisorMessage, SupervisorOrder
from gateway_node.child.process_tree import continue_if_stopped, ProcessEntry, read_entry
from gateway_node.child.wire import encode, MessageBuffer, receive_packet
from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.final_status import told_unkillable
from gateway_node.executions.listeners import Guard
from gateway_node.executions.ports import EndCause, Outcome
from gateway_node.executions.values import Progress, StopAction, Trigger
from gateway_node.process.outcomes import (
    asker_note,
    outcome_of_directory,
    outcome_of_failed_start,
    outcome_of_report,
)
from gateway_node.process.running_output import RunningOutput
from gateway_node.process.spawner_connection import TreeGone, WaitingSupervisor
from gateway_node.process.watchdog import Watchdog

_log = logging.getLogger(__name__)


class SupervisedProcess:
    """A started script; fulfils the port `ScriptProcess`."""

    def __init__(
        self,
        execution_id: str,
        directory: Path,
        supervisor: WaitingSupervisor,
        on_progress: Callable[[Progress], None],
        warnings: Sequence[str] = (),
    ) -> None:
        """Take a supervisor that waits for its order.

        `warnings` are what was noticed before the start; the outcome carries them too.
        """
        self.execution_id = execution_id
        self.supervisor_pid = supervisor.pid
        self.directory = directory
        self._channel = supervisor.channel
        self._pidfd = supervisor.pidfd
        self._on_progress = on_progress
        self._guard = Guard()
        self._began = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[int | None] = self._loop.create_future()
        self._outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._last_words: asyncio.Task[None] | None = None
        self._warnings = tuple(warnings)
        self._misunderstood = False
        """True where it told the end, and that could not be made an outcome."""
        self._watchdog = Watchdog(
            execution_id, supervisor.pidfd, supervisor.channel, self._give_up_supervisor
        )
        self._keeps_working_directory = False
        self._grace_sec = 0.0
        self._longest_sec = math.inf
        """That a supervisor has from now on, or from the start of the program."""
        self.stuck: ProcessEntry | None = None
        """The supervisor, where it counts as gone although even SIGKILL does not end it."""
        self.output = RunningOutput()
        self._incoming = MessageBuffer()
        self._outgoing = bytearray()
        self._channel.setblocking(False)
        self._loop.add_reader(self._channel, self._receive)
        self._loop.add_reader(self._pidfd, self._supervisor_ended)

    def begin(self, order: SupervisorOrder) -> None:
        """Give the supervisor its order; called once.

        It has the time limit for the start of the program, which can be slow, and once more for
        the program itself.
        """
        self._keeps_working_directory = order['keep_working_directory']
        self._grace_sec = order['grace_sec'] + 2 * LINGER_SEC
        self._send(order)
        self._allow(order['timeout_sec'] + self._grace_sec)

    def stop(self, action: StopAction, asked_by: Trigger | None = None) -> None:
        """Ask for the end; return at once. Repeating is harmless, a kill may follow a stop."""
        stop = action is StopAction.STOP
        asker = None if asked_by is None else asker_note(asked_by)
        self._send(EndWish(end='stop' if stop else 'kill', asked_by=asker))
        if self._last_words is None and not self.has_ended and not self._exited.done():
            self._watchdog.expect_heard()
            self._allow(self._grace_sec if stop else 0.0)

    async def ended(self) -> Outcome:
        """Wait until the whole tree is gone. Cancelling the wait changes nothing."""
        outcome = await asyncio.shield(self._outcome)
        return replace(outcome, warnings=(*self._warnings, *outcome.warnings))

    @property
    def has_ended(self) -> bool:
        """True where the outcome is known: the whole tree is gone."""
        return self._outcome.done()

    async def started(self) -> int | None:
        """Wait until the script's program has begun; return its pid, None where nobody said it.

        Raises:
            SpawnFailed: it could not be executed; nothing is left behind.
        """
        return await asyncio.shield(self._started)

    async def supervisor_gone(self) -> None:
        """Wait until the supervisor has exited or is given up, its channel closed."""
        await asyncio.shield(self._exited)

    async def told_its_end(self) -> bool:
        """Return True where the supervisor, which is gone, told the outcome."""
        if self._last_words is not None:
            await asyncio.wait({self._last_words})
        return self._outcome.done()

    def continue_if_stopped(self) -> None:
        """Continue a supervisor that a script stopped; for one that is this process's child."""
        if not self._exited.done():
            continue_if_stopped(self._pidfd)

    async def conclude_lost(self, gone: TreeGone) -> None:
        """Set the outcome where none was told: the supervisor died or was given up before it
        could, or was not understood."""
        how = 'was killed' if self.stuck is None else 'hangs in the kernel'
        if self._misunderstood:
            how = "told its end and was not understood; the gateway's log has the traceback"
        lost = Outcome(
            cause=EndCause.SUPERVISOR_LOST,
            message=f'the process that supervised the script {how}',
            duration_sec=time.monotonic() - self._began,
        )
        outcome = await asyncio.to_thread(self._read_end, lost, gone.unkillable)
        self._conclude_unheard(outcome)

    def conclude_unknown(self) -> None:
        """Set an outcome where there is none yet: whoever waits hears of an end in any case."""
        self._conclude_unheard(
            Outcome(
                cause=EndCause.SUPERVISOR_LOST,
                message='an internal error of the gateway; its log has the traceback',
                duration_sec=time.monotonic() - self._began,
            )
        )

    def _read_end(self, otherwise: Outcome, left: Sequence[ProcessNote]) -> Outcome:
        self.output.keep(self.directory)
        return outcome_of_directory(
            self.directory,
            otherwise,
            left,
            keep_working_directory=self._keeps_working_directory,
        )

    def _conclude_unheard(self, outcome: Outcome) -> None:
        if not self._started.done():
            # A script can kill its supervisor before that has said that it began.
            self._started.set_result(None)
        self._conclude(outcome)

    def _allow(self, longest_sec: float) -> None:
        """Watch for the end anew where less time is left; a repeated stop puts nothing off."""
        if longest_sec < self._longest_sec:
            self._longest_sec = longest_sec
            self._watchdog.expect_end(longest_sec)

    def _send(self, message: SupervisorOrder | EndWish) -> None:
        """Send a message to the supervisor as soon as it takes it."""
        if self._exited.done():
            return
        self._outgoing += encode(message)
        self._push()

    def _push(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._channel.send(self._outgoing)]
        except BlockingIOError:
            self._loop.add_writer(self._channel, self._push)
            return
        except OSError:
            self._outgoing.clear()
        self._loop.remove_writer(self._channel)

    def _receive(self) -> bool:
        """Take what the supervisor says; return False where there is no more."""
        try:
            chunk, descriptors = receive_packet(self._channel)
        except BlockingIOError:
            return False
        except OSError:
            chunk, descriptors = b'', []
        for descriptor in descriptors:
            self.output.take(descriptor)
        if not chunk:
            self._loop.remove_reader(self._channel)
            return False
        try:
            for message in self._incoming.feed(chunk):
                self._take(message)
        except Exception:
            _log.exception('a supervisor was not understood: execution %s', self.execution_id)
        return True

    def _take(self, message: SupervisorMessage) -> None:
        match message['event']:
            case 'started':
                self._watchdog.expect_end(self._longest_sec)
                if not self._started.done():
                    self._started.set_result(message['pid'])
            case 'progress':
                progress = Progress(percent=message['percent'], message=message['message'])
                self._guard.tell(self._on_progress, progress)
            case 'output':
                # A descriptor of shared memory came with it, or was one too many here, or none.
                self.output.tell()
            case 'spawn_failed':
                self._take_last_words(outcome_of_failed_start, message)
            case 'ended':
                keep = self._keeps_working_directory
                self._take_last_words(outcome_of_report, message, self.directory, keep)

    def _take_last_words(self, understand: Callable[..., Outcome], *words: Any) -> None:
        self._watchdog.expect_nothing_heard()
        self._last_words = self._loop.create_task(self._conclude_told(understand, *words))

    async def _conclude_told(self, understand: Callable[..., Outcome], *words: Any) -> None:
        try:
            self._conclude(await asyncio.to_thread(understand, *words))
        except Exception:
            # Its companion concludes, once the tree is gone, whatever this was.
            self._misunderstood = True
            _log.exception('a supervisor was not understood: execution %s', self.execution_id)

    def _conclude(self, outcome: Outcome) -> None:
        if outcome.unkillable_processes:
            told = told_unkillable(outcome.unkillable_processes)
            _log.error('%s: execution %s', told, self.execution_id)
        if not self._started.done():
            self._started.set_exception(SpawnFailed(outcome.message, outcome.unkillable_processes))
            # Whoever waits hears of it; nobody has to.
            self._started.exception()
        if not self._outcome.done():
            self._outcome.set_result(outcome)
            self.output.tell()

    def _give_up_supervisor(self) -> None:
        self.stuck = read_entry(self.supervisor_pid)
        if self.stuck is not None and not self.stuck.is_zombie:
            self._let_go()

    def _supervisor_ended(self) -> None:
        while self._receive():
            pass
        with contextlib.suppress(ChildProcessError):
            # Its spawner's child, which reaps it; this process's where the spawner is lost.
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        self._let_go()

    def _let_go(self) -> None:
        self._watchdog.stop()
        self._loop.remove_reader(self._pidfd)
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        os.close(self._pidfd)
        self._exited.set_result(None)
