# SPDX-License-Identifier: Apache-2.0
"""Supervises one script: drains it, keeps its limits and ends its whole tree.

In a process without threads that is a subreaper: whatever the script leaves behind becomes its
child, so that `wait` saying ECHILD proves the tree gone (man 2 wait). Every time limit, limit and
stop ladder lives here, where a gateway that hangs or dies changes nothing.
"""

import math
import os
import select
import time

from gateway_node.child import process_tree
from gateway_node.child.messages import (
    AskerNote,
    Cause,
    EndReport,
    LimitNote,
    OutputTold,
    ScriptEnded,
    ScriptStarted,
    SupervisorOrder,
)
from gateway_node.child.supervision import usage
from gateway_node.child.supervision.due_times import DueTimes
from gateway_node.child.supervision.execution_files import ExecutionFiles
from gateway_node.child.supervision.gateway_link import GatewayLink
from gateway_node.child.supervision.own_state import OwnState
from gateway_node.child.supervision.program import Begun
from gateway_node.child.supervision.seen_end import SeenEnd
from gateway_node.child.supervision.stop_ladder import StopLadder
from gateway_node.child.supervision.wakeup import Wakeup

_CONTAIN_AFTER_SEC = 0.5
"""Joining a cgroup takes some 10 ms; the many scripts that end sooner are spared it."""
_BRIEF_SEC = 0.005
"""Of a script that ends sooner, and says nothing until then, the end alone tells that it began."""
_NEWS_INTERVAL_SEC = 0.1
"""Between two messages of progress, and two of new output."""
REPORT_PATIENCE_SEC = 10.0
"""For a gateway that does not read how it ended."""


class Supervisor:
    """One script, from the moment in which its program has begun to the end of its tree."""

    def __init__(
        self,
        order: SupervisorOrder,
        files: ExecutionFiles,
        gateway: GatewayLink,
        begun: Begun,
        wakeup: Wakeup,
    ) -> None:
        self._order = order
        self._files = files
        self._gateway = gateway
        self._main = begun.pid
        self._warm = begun.shared_bytes > 0
        self._wakeup = wakeup
        self._status: int | None = None
        self._started = files.output.began = time.monotonic()
        self._cause: Cause = 'exited'
        self._limit_reached: LimitNote | None = None
        self._meter = usage.UsageMeter(
            order['limits'], files.program.working_directory, begun.shared_bytes
        )
        self._end_asked = False
        self._end_asked_by: AskerNote | None = None
        self._told_start = False
        self._abandoned = False
        """True once the loss of the gateway was acted on."""
        self._progress_told = -math.inf
        self._output_told = self._started
        self._poll = select.poll()
        self._due = DueTimes()
        self._ladder = StopLadder(
            self._due,
            stop_signal=order['stop_signal'],
            grace_sec=order['grace_sec'],
            kill_cgroup=files.kill_cgroup,
        )

    def see_through(self, own_state: OwnState) -> SeenEnd:
        """Watch the script until its tree is gone, then report and clean up."""
        self._watch()
        self._due.put(self._tell_start, self._started + _BRIEF_SEC)
        self._due.put(self._time_out, self._started + self._order['timeout_sec'])
        self._due.put(self._contain, self._started + _CONTAIN_AFTER_SEC)
        self._due.put(self._sample, self._started + self._meter.interval_sec)
        if self._gateway.has_early:
            # What came together with the order wakes no poll.
            self._listen()
        while self._reap():
            if self._gateway.lost and not self._abandoned:
                self._abandon()
            self._due.keep(time.monotonic())
            if self._ladder.given_up:
                break
            self._put_news()
            self._turn()
        at_their_ends = self._files.drain_rest()
        self._keep_output_limit()
        self._judge()
        kept = self._files.keep_working_directory()
        report = self._report()
        self._keep_artifacts(report)
        tidy = self._leave_nothing() and kept and at_their_ends
        fit = tidy and own_state.unchanged and not self._order.get('has_secrets', False)
        return self._tell_end(report, reusable=fit)

    def _leave_nothing(self) -> bool:
        """Remove what the script left where the next one begins; False where that is not sure.

        Only where it ended by itself and all that it started did too.
        """
        removed = self._files.remove_cgroup()
        by_itself = self._cause == 'exited' and self._ladder.unused and not self._gateway.lost
        return by_itself and removed and self._files.tidy()

    def _tell_end(self, report: EndReport, *, reusable: bool) -> SeenEnd:
        end = SeenEnd(report, self._order['directory'], reusable)
        if reusable:
            end.take_back()
        else:
            end.write()
        if self._files.progress_news:
            self._tell_progress()
        self._gateway.send(ScriptEnded(event='ended', reusable=reusable, **report))
        if not reusable:
            self._gateway.flush(REPORT_PATIENCE_SEC)
        return end

    def _watch(self) -> None:
        sources = (*self._files.sources, self._wakeup.descriptor, self._gateway.pidfd)
        for descriptor in (*sources, self._gateway.channel.fileno()):
            self._poll.register(descriptor, select.POLLIN)

    def _turn(self) -> None:
        """Wait for something to happen, until the next moment that has to be kept."""
        if not self._abandoned:
            waits = 0 if self._gateway.idle else select.POLLOUT
            self._poll.modify(self._gateway.channel, select.POLLIN | waits)
        wait_sec = max(0.0, self._due.next_moment - time.monotonic())
        for descriptor, events in self._poll.poll(min(wait_sec * 1000 + 1, 60_000)):
            if descriptor in self._files.sources:
                if events & select.POLLIN:
                    # Who sees output may ask for a stop: that of a script that has begun.
                    self._tell_start()
                if not self._files.drain(descriptor):
                    self._poll.unregister(descriptor)
            elif descriptor == self._wakeup.descriptor:
                self._wakeup.clear()
            elif descriptor == self._gateway.pidfd:
                self._gateway.lost = True
            elif not self._gateway.lost:
                self._listen()
        self._keep_output_limit()

    def _reap(self) -> bool:
        """Wait for all that has ended; return False once the tree is empty."""
        while True:
            try:
                pid, status, use = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._meter.account(use, is_main=pid == self._main)
            if pid == self._main:
                self._status = status
                self._ladder.linger()
            self._ladder.note_ended()

    def _listen(self) -> None:
        self._gateway.push()
        for message in self._gateway.receive():
            # What has ended by now has ended by itself.
            self._reap()
            self._end_asked = self._end_asked or self._status is None
            self._end_asked_by = message['asked_by'] or self._end_asked_by
            if message['end'] == 'kill':
                self._ladder.kill()
            else:
                self._ladder.stop()

    def _abandon(self) -> None:
        """End the tree as there is no gateway any more, whoever noticed that.

        A script that has ended by then, and only left processes behind, has its own end.
        """
        self._abandoned = True
        self._poll.unregister(self._gateway.channel)
        self._poll.unregister(self._gateway.pidfd)
        if self._status is None:
            self._note_cause('gateway_lost')
        self._ladder.kill()

    def _note_cause(self, cause: Cause) -> None:
        """Take note why the tree is ended here; the first reason stays."""
        if self._cause == 'exited':
            self._cause = cause

    def _time_out(self) -> None:
        if self._status is None and not self._ladder.kills:
            self._note_cause('timed_out')
            self._ladder.stop()

    def _contain(self) -> None:
        """Put this process's children into the cgroup, and with them what they fork from now on.

        Only their pids are sure to be theirs: nobody else can reap them. A stranger that came
        into the cgroup would be killed with it.
        """
        if 'cgroup' in self._order and self._files.cgroup is None:
            tree = process_tree.descendants(os.getpid())
            self._files.contain(e.pid for e in tree if e.parent == os.getpid())

    def _sample(self) -> None:
        tree = process_tree.descendants(os.getpid())
        reached = self._meter.sample(tree, self._files.cgroup)
        self._due.put(self._sample, time.monotonic() + self._meter.interval_sec)
        if reached is not None:
            self._end_for(reached)

    def _keep_output_limit(self) -> None:
        limit = self._order['limits']['output_mb']
        written = self._files.output.total_bytes
        if limit is not None and written > limit * usage.MIB:
            self._end_for(usage.limit_note('output_mb', limit, round(written / usage.MIB, 3)))

    def _end_for(self, reached: LimitNote) -> None:
        """End the tree at once; what began to end it before stays the reason."""
        if self._limit_reached is None and self._cause == 'exited':
            self._limit_reached = reached
        if not self._ladder.kills:
            self._note_cause('limit_reached')
            self._ladder.kill()

    def _put_news(self) -> None:
        """Have told what there is to tell.

        A gateway that takes nothing wakes the poll when it takes something again.
        """
        if self._files.progress_news and self._gateway.idle:
            self._due.put(self._tell_progress, self._progress_told + _NEWS_INTERVAL_SEC)
        if self._files.output.news and self._gateway.idle:
            self._due.put(self._tell_of_output, self._output_told + _NEWS_INTERVAL_SEC)

    def _tell_start(self) -> None:
        """Say that the script has begun, before anything else is said of it."""
        if not self._told_start:
            self._told_start = True
            self._gateway.send(ScriptStarted(event='started', pid=self._main, warm=self._warm))

    def _tell_progress(self) -> None:
        self._tell_start()
        self._progress_told = time.monotonic()
        self._gateway.send(self._files.take_progress())

    def _tell_of_output(self) -> None:
        """Let the gateway see what no file holds of the output, and tell it that there is more."""
        self._output_told = time.monotonic()
        self._gateway.send(OutputTold(event='output'), self._files.output.share())

    @property
    def _exit_code(self) -> int | None:
        status = self._status
        return os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None

    @property
    def _signal(self) -> int | None:
        status = self._status
        return os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None

    def _judge(self) -> None:
        """Take the kernel's word for what was used, and for what ended the script."""
        if self._files.cgroup is not None:
            self._meter.take_kernels_account(self._files.cgroup)
        if self._cause == 'exited' and self._exit_code != 0:
            by_kernel = usage.kernel_hit(
                self._order['limits'],
                self._meter,
                self._files.cgroup,
                self._files.largest_file_bytes,
                self._signal,
            )
            self._limit_reached = by_kernel or self._limit_reached
            self._cause = 'exited' if self._limit_reached is None else 'limit_reached'

    def _report(self) -> EndReport:
        duration_sec = time.monotonic() - self._started
        given_result, given_complaint = self._files.take_result()
        return EndReport(
            cause=self._cause,
            exit_code=self._exit_code,
            signal=self._signal,
            limit=self._limit_reached,
            duration_sec=duration_sec,
            leftover_processes=len(self._ladder.leftovers),
            unkillable_processes=self._ladder.unkillable,
            max_memory_bytes=self._meter.max_memory_bytes,
            cpu_sec=self._meter.cpu_sec,
            stdout_bytes=self._files.output.totals.stdout_bytes,
            lost_output_bytes=self._files.output.lost_bytes,
            progress_garbage=self._files.progress_garbage,
            end_asked=self._end_asked,
            end_asked_by=self._end_asked_by,
            pid=self._main,
            warm=self._warm,
            given_result=given_result,
            given_complaint=given_complaint,
            output=self._files.output.told(),
            kept_bytes=self._files.kept_bytes(),
        )

    def _keep_artifacts(self, report: EndReport) -> None:
        """Keep what the script left to be kept, and report that too.

        Of large files that takes its time, in which nothing is heard here, so that this process
        may be killed for it: how the script ended is written down before.
        """
        if not self._files.has_artifacts:
            return
        SeenEnd(report, self._order['directory'], reusable=False).write()
        artifacts = self._files.keep_artifacts()
        if artifacts.files:
            report['artifacts'] = artifacts.files
        if artifacts.complaints:
            report['artifact_complaints'] = [*artifacts.complaints]
        report['kept_bytes'] = self._files.kept_bytes()
