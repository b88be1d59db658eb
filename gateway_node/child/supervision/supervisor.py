# SPDX-License-Identifier: Apache-2.0
"""Supervises one script: drains it, keeps its limits and ends its whole tree.

One process without threads for each execution. It is a subreaper: whatever the script leaves
behind becomes its child, so that `wait` saying ECHILD proves the tree gone (man 2 wait). Every
time limit, limit and stop ladder lives here, where a gateway that hangs or dies changes nothing.
"""

import contextlib
import math
import os
import select
import signal
import time

from gateway_node.child import process_tree
from gateway_node.child.contract import EndReport, ProcessNote, SupervisorOrder
from gateway_node.child.killing import KILL_PATIENCE_SEC, Killing
from gateway_node.child.output_frames import STDOUT
from gateway_node.child.supervision import usage
from gateway_node.child.supervision.execution_files import ExecutionFiles
from gateway_node.child.supervision.gateway_link import GatewayLink

PROCESS_NAME = 'gw-supervisor'
WAITING_NAME = 'gw-spare'
"""Until the order comes."""
LINGER_SEC = 1.0
"""For what is left once the main process has ended: before SIGTERM, and again before SIGKILL."""
_CONTAIN_AFTER_SEC = 0.05
"""Joining a cgroup takes long; the many scripts that end sooner are spared it."""
_PROGRESS_INTERVAL_SEC = 0.1
REPORT_PATIENCE_SEC = 10.0
"""For a gateway that does not read how it ended."""


class Supervisor:
    """One script, from the moment in which its program has begun to the end of its tree."""

    def __init__(
        self, order: SupervisorOrder, files: ExecutionFiles, gateway: GatewayLink, pid: int
    ) -> None:
        self._order = order
        self._files = files
        self._gateway = gateway
        self._main = pid
        self._status: int | None = None
        self._started = time.monotonic()
        self._cause = 'exited'
        self._hit: usage.LimitReached | None = None
        self._meter = usage.UsageMeter(order['limits'], files.working_directory)
        self._leftovers: set[tuple[int, int]] = set()
        self._killing = Killing()
        self._unkillable: list[ProcessNote] = []
        self._end_asked = False
        self._abandoned = False
        """True once the loss of the gateway was acted on."""
        self._stopping = False
        self._lingering = False
        """True once the main process has ended by itself or by a stop, the tree not killed."""
        self._timeout_at = self._started + order['timeout_sec']
        self._linger_at = self._kill_at = self._give_up_at = math.inf
        self._contain_at = self._started + _CONTAIN_AFTER_SEC
        self._sample_at = self._started + self._meter.interval_sec
        self._progress_at = math.inf
        self._progress_sent = -math.inf
        self._poll = select.poll()

    def see_through(self) -> None:
        """Watch the script until its tree is gone, then report and clean up."""
        self._gateway.send({'event': 'started', 'pid': self._main})
        self._watch()
        # What came together with the order wakes no poll.
        self._listen()
        while self._reap() and not self._given_up():
            if self._gateway.lost and not self._abandoned:
                self._abandon()
            self._keep_time(time.monotonic())
            self._turn()
        self._files.drain_rest()
        self._keep_output_limit()
        report = self._report()
        self._files.write_end(report)
        if self._files.progress_news:
            self._send_progress(time.monotonic())
        self._gateway.send({'event': 'ended', **report})
        self._gateway.flush(REPORT_PATIENCE_SEC)
        self._files.remove_leavings()

    def _watch(self) -> None:
        self._wakeup, wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        sources = (*self._files.sources, self._wakeup, self._gateway.pidfd)
        for descriptor in (*sources, self._gateway.channel.fileno()):
            self._poll.register(descriptor, select.POLLIN)

    def _contain(self) -> None:
        """Put this process's children into the cgroup, and with them what they fork from now on.

        Only their pids are sure to be theirs: nobody else can reap them. A stranger that came
        into the cgroup would be killed with it.
        """
        self._contain_at = math.inf
        if 'cgroup' in self._order and self._files.cgroup is None:
            tree = process_tree.descendants(os.getpid())
            self._files.contain(e.pid for e in tree if e.parent == os.getpid())

    def _turn(self) -> None:
        """Wait for something to happen, until the next moment that has to be kept."""
        if not self._abandoned:
            waits = 0 if self._gateway.idle else select.POLLOUT
            self._poll.modify(self._gateway.channel, select.POLLIN | waits)
        wait_sec = max(0.0, self._next_moment() - time.monotonic())
        for descriptor, _ in self._poll.poll(min(wait_sec * 1000 + 1, 60_000)):
            if descriptor in self._files.sources:
                if not self._files.drain(descriptor):
                    self._poll.unregister(descriptor)
            elif descriptor == self._wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(descriptor, 4096)
            elif not self._gateway.lost:
                self._listen()
        self._keep_output_limit()

    def _next_moment(self) -> float:
        if self._give_up_at != math.inf:
            return time.monotonic() + process_tree.KILL_INTERVAL_SEC
        if self._files.progress_news and self._progress_at == math.inf:
            self._progress_at = self._progress_sent + _PROGRESS_INTERVAL_SEC
        share_due = self._files.output.share_due
        return min(
            self._timeout_at,
            self._linger_at,
            self._kill_at,
            self._contain_at,
            self._sample_at,
            # A gateway that takes nothing wakes the poll when it takes something again.
            self._progress_at if self._gateway.idle else math.inf,
            math.inf if share_due is None else share_due,
        )

    def _keep_time(self, now: float) -> None:
        if now >= self._timeout_at:
            self._end('timed_out')
        if now >= self._linger_at:
            self._linger_at = math.inf
            self._signal(signal.SIGTERM)
        if now >= self._kill_at:
            self._kill()
        if now >= self._contain_at:
            self._contain()
        if now >= self._sample_at:
            self._sample(now)
        if now >= self._progress_at and self._gateway.idle:
            self._progress_at = math.inf
            self._send_progress(now)
        share_due = self._files.output.share_due
        if share_due is not None and now >= share_due:
            self._share_output()

    def _listen(self) -> None:
        self._gateway.push()
        for message in self._gateway.receive():
            if 'end' in message:
                # What has ended by now has ended by itself.
                self._reap()
                self._end_asked = self._end_asked or self._status is None
            if message.get('end') == 'kill':
                self._kill()
            elif message.get('end') == 'stop':
                self._stop()

    def _abandon(self) -> None:
        """End the tree as there is no gateway any more, whoever noticed that.

        A script that has ended by then, and only left processes behind, has its own end.
        """
        self._abandoned = True
        self._poll.unregister(self._gateway.channel)
        self._poll.unregister(self._gateway.pidfd)
        if self._status is None:
            self._end('gateway_lost', at_once=True)
        else:
            self._kill()

    def _end(self, cause: str, *, at_once: bool = False) -> None:
        """End the tree for a reason of the supervisor's own; the first reason stays."""
        if self._cause == 'exited':
            self._cause = cause
        self._timeout_at = math.inf
        if at_once:
            self._kill()
        else:
            self._stop()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._kill_at = min(self._kill_at, time.monotonic() + self._order['grace_sec'])
        self._signal(self._order['stop_signal'])

    def _kill(self) -> None:
        self._stopping = True
        self._timeout_at = self._linger_at = self._kill_at = math.inf
        if self._give_up_at == math.inf:
            self._give_up_at = time.monotonic() + KILL_PATIENCE_SEC
        self._kill_once()
        if self._files.cgroup is not None:
            self._files.cgroup.kill()

    def _signal(self, number: int) -> None:
        reached = process_tree.signal_all(process_tree.descendants(os.getpid()), number).reached
        if self._lingering:
            self._leftovers.update(entry.identity for entry in reached)
        process_tree.signal_all(reached, signal.SIGCONT)

    def _kill_once(self) -> tuple[list[process_tree.ProcessEntry], bool]:
        """Kill what lives; return that, and whether all of it is to be given up."""
        tree = process_tree.descendants(os.getpid())
        pending = self._killing.round(tree)
        if self._lingering:
            self._leftovers.update(self._killing.killed)
        living = [entry for entry in tree if not entry.is_zombie]
        return living, bool(living) and not pending

    def _sample(self, now: float) -> None:
        tree = process_tree.descendants(os.getpid())
        hit = self._meter.sample(tree, self._files.cgroup)
        self._sample_at = now + self._meter.interval_sec
        if hit is not None:
            self._reach(hit)

    def _keep_output_limit(self) -> None:
        limit = self._order['limits']['output_mb']
        written = self._files.output.total_bytes
        if limit is not None and written > limit * usage.MIB:
            self._reach(usage.LimitReached('output_mb', limit, round(written / usage.MIB, 3)))

    def _reach(self, hit: usage.LimitReached) -> None:
        """End the tree at once; what began to end it before stays the reason."""
        if self._hit is None and self._cause == 'exited':
            self._hit = hit
        if self._give_up_at == math.inf:
            self._end('limit_reached', at_once=True)

    def _share_output(self) -> None:
        """Let the gateway see what no file holds of the output."""
        descriptor = self._files.output.share()
        if descriptor is not None:
            self._gateway.send({'event': 'output_shared'}, descriptor)

    def _send_progress(self, now: float) -> None:
        self._progress_sent = now
        self._gateway.send({'event': 'progress', **self._files.take_progress()})

    def _reap(self) -> bool:
        """Wait for all that has ended; return False once the tree is empty."""
        while True:
            try:
                pid, status, use = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._meter.account(use)
            if pid == self._main:
                self._status = status
                self._main_ended()

    def _main_ended(self) -> None:
        now = time.monotonic()
        self._timeout_at = math.inf
        if self._give_up_at == math.inf:
            self._lingering = True
            self._linger_at = now + LINGER_SEC
            self._kill_at = min(self._kill_at, now + 2 * LINGER_SEC)

    def _given_up(self) -> bool:
        if self._give_up_at == math.inf:
            return False
        living, given_up = self._kill_once()
        if not given_up and time.monotonic() < self._give_up_at:
            return False
        self._unkillable = self._killing.notes(living)
        return True

    def _report(self) -> EndReport:
        if self._files.cgroup is not None:
            self._meter.take_kernels_account(self._files.cgroup)
        status = self._status
        exit_code = os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        if self._cause == 'exited' and exit_code != 0:
            hit = usage.kernel_hit(
                self._order['limits'],
                self._meter,
                self._files.cgroup,
                self._files.largest_file_bytes,
                number,
            )
            self._hit = hit or self._hit
            self._cause = 'exited' if self._hit is None else 'limit_reached'
        return EndReport(
            cause=self._cause,
            exit_code=exit_code,
            signal=number,
            limit=None if self._hit is None else self._hit._asdict(),
            duration_sec=time.monotonic() - self._started,
            leftover_processes=len(self._leftovers),
            unkillable_processes=self._unkillable,
            max_memory_bytes=self._meter.max_memory_bytes,
            cpu_sec=self._meter.cpu_sec,
            stdout_bytes=self._files.output.totals[STDOUT],
            lost_output_bytes=self._files.output.lost_bytes,
            progress_garbage=self._files.progress_garbage,
            end_asked=self._end_asked,
        )
