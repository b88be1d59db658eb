# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of one execution, as long as a supervisor has it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
import logging
import math
from pathlib import Path
import time

from gateway_node.child.artifact_keeping import KeptArtifacts
from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import LINGER_SEC
from gateway_node.child.messages import (
    EndWish,
    ProcessNote,
    ScriptEnded,
    SupervisorMessage,
    SupervisorOrder,
)
from gateway_node.child.process_tree import continue_beginning
from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.final_status import told_unkillable
from gateway_node.executions.listeners import Guard
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import Progress, StopAction, Trigger
from gateway_node.process.clearing_away import clear_away
from gateway_node.process.outcomes import (
    asker_note,
    is_read_at_once,
    outcome_of_directory,
    outcome_of_failed_start,
    outcome_of_report,
)
from gateway_node.process.running_output import RunningOutput
from gateway_node.process.supervisor_link import SupervisorLink
from gateway_node.process.watchdog import Watchdog

_log = logging.getLogger(__name__)


class SupervisedProcess:
    """A started script; fulfils the port `ScriptProcess`."""

    def __init__(
        self,
        order: SupervisorOrder,
        link: SupervisorLink,
        on_progress: Callable[[Progress], None],
        warnings: Sequence[str] = (),
        *,
        on_reusable: Callable[['SupervisedProcess'], None],
    ) -> None:
        """Take a supervisor that waits for its order.

        `warnings` are what was noticed before the start; the outcome carries them too.
        `on_reusable` is told that the outcome is known and that the supervisor waits for another
        order; else it ends by itself.
        """
        self.execution_id = order['execution_id']
        self.directory = Path(order['directory'])
        self.link = link
        self._order = order
        self._on_progress = on_progress
        self._on_reusable = on_reusable
        self._guard = Guard()
        self._began = time.monotonic()
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[int | None] = loop.create_future()
        self._outcome: asyncio.Future[Outcome] = loop.create_future()
        self._released: asyncio.Future[None] = loop.create_future()
        self._last_words: asyncio.Task[None] | None = None
        self._warnings = tuple(warnings)
        self._misunderstood = False
        """True where it told the end, and that could not be made an outcome."""
        self._watchdog: Watchdog | None = None
        self._grace_sec = order['grace_sec'] + 2 * LINGER_SEC
        self._longest_sec = math.inf
        """That a supervisor has from now on, or from the start of the program."""
        self.output = RunningOutput()
        self.warm = False
        """True where the script began in an interpreter that has its modules loaded."""

    def begin(self) -> None:
        """Give the supervisor its order; called once.

        It has the time limit for the start of the program, which can be slow, and once more for
        the program itself.
        """
        self._watchdog = self.link.order(self._order, self)
        # Told, and needed no more: it can be long, and hold secrets.
        self._order = self._order.copy()
        self._order['stdin'] = ''
        self._allow(self._order['timeout_sec'] + self._grace_sec)

    def stop(self, action: StopAction, asked_by: Trigger | None = None) -> None:
        """Ask for the end; return at once. Repeating is harmless, a kill may follow a stop."""
        if self._released.done():
            return
        stop = action is StopAction.STOP
        asker = None if asked_by is None else asker_note(asked_by)
        self.link.send(EndWish(end='stop' if stop else 'kill', asked_by=asker))
        if self._watchdog is not None and self._last_words is None and not self.has_ended:
            self._watchdog.expect_heard()
            self._allow(self._grace_sec if stop else 0.0)

    async def ended(self) -> Outcome:
        """Wait until the whole tree is gone. Cancelling the wait changes nothing."""
        outcome = await asyncio.shield(self._outcome)
        if not self._warnings:
            return outcome
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

    def continue_beginning(self) -> None:
        """Continue the script where it was stopped before its program has begun."""
        if self.link.identity is not None and not self._started.done():
            continue_beginning(self.link.identity)

    async def released(self) -> None:
        """Wait until no supervisor has it any more, and nothing of it is being cleared away."""
        await asyncio.shield(self._released)

    def release(self) -> None:
        """Take note of that; the outcome is known."""
        if self._watchdog is not None:
            self._watchdog.stop()
        self.link.release()
        self.output.close()
        if not self._released.done():
            self._released.set_result(None)

    async def told_its_end(self) -> bool:
        """Return True where the supervisor, which is gone, told the outcome."""
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._last_words is not None:
            await asyncio.wait({self._last_words})
        return self._outcome.done()

    async def conclude_lost(self, left: Sequence[ProcessNote]) -> None:
        """Set the outcome where none was told: the supervisor died or was given up before it
        could, or was not understood. `left` lives on."""
        how = 'was killed' if self.link.stuck is None else 'hangs in the kernel'
        if self._misunderstood:
            how = "told its end and was not understood; the gateway's log has the traceback"
        lost = Outcome(
            cause=EndCause.SUPERVISOR_LOST,
            message=f'the process that supervised the script {how}',
            duration_sec=time.monotonic() - self._began,
        )
        self._conclude_unheard(await asyncio.to_thread(self._read_end, lost, left))

    def conclude_unknown(self) -> None:
        """Set an outcome where there is none yet: whoever waits hears of an end in any case."""
        self._conclude_unheard(
            Outcome(
                cause=EndCause.SUPERVISOR_LOST,
                message='an internal error of the gateway; its log has the traceback',
                duration_sec=time.monotonic() - self._began,
            )
        )

    def hear(self, message: SupervisorMessage) -> None:
        """Take what the supervisor says."""
        match message['event']:
            case 'started':
                self._note_started(message['pid'], warm=message.get('warm') is True)
            case 'progress':
                progress = Progress(percent=message['percent'], message=message['message'])
                self._guard.tell(self._on_progress, progress)
            case 'output':
                # A descriptor of shared memory came with it, or was one too many here, or none.
                self.output.tell()
            case 'spawn_failed':
                self._take_last_words(partial(outcome_of_failed_start, message))
            case 'ended':
                self._take_end(message)

    def take_descriptor(self, descriptor: int) -> None:
        """Take over a descriptor of the memory in which the supervisor shows output."""
        self.output.take(descriptor)

    def _note_started(self, pid: int, *, warm: bool) -> None:
        if not self._started.done():
            self.warm = warm
            if self._watchdog is not None:
                self._watchdog.expect_end(self._longest_sec)
            self._started.set_result(pid)

    def _take_end(self, report: ScriptEnded) -> None:
        if 'pid' in report:
            # Of a script that ends at once nothing else says that it began.
            self._note_started(report['pid'], warm=report.get('warm') is True)
        understand = partial(
            outcome_of_report, report, self.directory, self._order['keep_working_directory']
        )
        reusable = report.get('reusable') is True
        if not is_read_at_once(report):
            self._take_last_words(understand, reusable=reusable)
            return
        try:
            outcome = understand()
        except Exception as error:
            self._misunderstand(error)
        else:
            self._conclude_heard(outcome, reusable=reusable)

    def _take_last_words(
        self, understand: Callable[[], Outcome], *, reusable: bool = False
    ) -> None:
        """Understand them in a thread: that reads files, or takes its time."""
        if self._watchdog is not None:
            self._watchdog.expect_nothing_heard()
        self._last_words = asyncio.get_running_loop().create_task(
            self._conclude_read(understand, reusable=reusable)
        )

    async def _conclude_read(self, understand: Callable[[], Outcome], *, reusable: bool) -> None:
        try:
            outcome = await asyncio.to_thread(understand)
        except Exception as error:
            self._misunderstand(error)
        else:
            self._conclude_heard(outcome, reusable=reusable)

    def _misunderstand(self, error: Exception) -> None:
        """Let the supervisor end; once it is gone its end is concluded, whatever this was."""
        self._misunderstood = True
        _log.error(
            'a supervisor was not understood: execution %s', self.execution_id, exc_info=error
        )
        self.link.abandon()

    def _conclude_heard(self, outcome: Outcome, *, reusable: bool) -> None:
        self._conclude(outcome)
        if reusable and not self.link.is_gone:
            self._on_reusable(self)

    def _read_end(self, otherwise: Outcome, left: Sequence[ProcessNote]) -> Outcome:
        order = self._order
        keep = order['keep_working_directory']
        artifacts = KeptArtifacts()
        self.output.keep(self.directory)
        if self.link.stuck is None:
            # What a supervisor hangs on may hang whoever touches it.
            leaf = CgroupLeaf(order['cgroup'], self.execution_id) if 'cgroup' in order else None
            artifacts = clear_away(
                self.directory,
                self.link.name,
                leaf,
                keep_working_directory=keep,
                artifact_bounds=order.get('artifacts'),
            )
        return outcome_of_directory(
            self.directory, otherwise, left, artifacts=artifacts, keep_working_directory=keep
        )

    def _conclude_unheard(self, outcome: Outcome) -> None:
        if not self._started.done():
            # A script can kill its supervisor before that has said that it began.
            self._started.set_result(None)
        self._conclude(outcome)

    def _allow(self, longest_sec: float) -> None:
        """Watch for the end anew where less time is left; a repeated stop puts nothing off."""
        if self._watchdog is not None and longest_sec < self._longest_sec:
            self._longest_sec = longest_sec
            self._watchdog.expect_end(longest_sec)

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
