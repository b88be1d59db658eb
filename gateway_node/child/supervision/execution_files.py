# SPDX-License-Identifier: Apache-2.0
"""The files and pipes of one execution, as its supervisor holds them.

In the execution's directory: the output's files, the progress channel, the script's given result,
its working directory, and the result file that tells how it ended.
"""

from collections.abc import Iterable
import contextlib
import json
import os
import time

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import END_FILE, PROGRESS_FIFO, WORKING_DIRECTORY
from gateway_node.child.exposed_files import largest_file_bytes, replace_file
from gateway_node.child.leavings import remove_leavings
from gateway_node.child.messages import EndReport, ProgressTold, SupervisorOrder
from gateway_node.child.output_frames import STDERR, STDOUT
from gateway_node.child.supervision.output_writing import OutputLog
from gateway_node.child.supervision.program import Program
from gateway_node.child.supervision.progress_lines import ProgressLines
from gateway_node.child.supervision.usage import resource_limits

_READ_BYTES = 64 * 1024
_READS_A_TURN = 16
_LAST_READS = 64


class ExecutionFiles:
    """Made before the script starts; outlives its tree.

    Raises:
        OSError: something of it cannot be made.
    """

    def __init__(self, order: SupervisorOrder) -> None:
        self._directory = order['directory']
        self._progress = ProgressLines()
        self.working_directory = self._path(WORKING_DIRECTORY)
        self._order = order
        self.cgroup: CgroupLeaf | None = None
        self.progress_news = False
        os.mkdir(self.working_directory)
        try:
            self._make(order)
        except OSError:
            self.remove_leavings()
            raise

    def _make(self, order: SupervisorOrder) -> None:
        if 'script_file' in order:
            # An interpreter would only say so on stderr, and exit with a status of its own.
            os.stat(order['script_file'])
        self.output = OutputLog(self._directory, time.monotonic())
        limits = order['limits']
        if limits['memory_mb'] is not None or limits['processes'] is not None:
            self._make_leaf()
        stdout, script_stdout = os.pipe()
        stderr, script_stderr = os.pipe()
        fifo = self._path(PROGRESS_FIFO)
        os.mkfifo(fifo)
        # Read-write: neither opening nor a writer that leaves ever ends the channel.
        progress = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        self._streams = {stdout: STDOUT, stderr: STDERR}
        self._progress_source = progress
        self.sources = {stdout, stderr, progress}
        """What has to be drained."""
        for source in self.sources:
            os.set_blocking(source, False)
        self.program = Program(
            argv=order['argv'],
            environment=order['environment'],
            working_directory=self.working_directory,
            stdin=_filled(order['stdin'].encode()),
            stdout=script_stdout,
            stderr=script_stderr,
            progress=os.open(fifo, os.O_WRONLY),
            resource_limits=resource_limits(order['limits']),
            cgroup_procs=None if self.cgroup is None else self.cgroup.procs,
        )

    def close_script_ends(self) -> None:
        """Close what only the script is to hold."""
        program = self.program
        for descriptor in (program.stdin, program.stdout, program.stderr, program.progress):
            os.close(descriptor)

    def contain(self, children: Iterable[int]) -> None:
        """Put processes that have begun into a cgroup, where that was not done before.

        Joining can take 10 ms, for which no start has to wait unless the kernel is to keep a
        limit; what they forked meanwhile is held by the supervisor as everything is.
        """
        if self.cgroup is None:
            self._make_leaf()
        if self.cgroup is not None:
            for pid in children:
                self.cgroup.join(pid)

    def kill_cgroup(self) -> None:
        """Kill everything in the cgroup, where there is one."""
        if self.cgroup is not None:
            self.cgroup.kill()

    def drain(self, source: int, reads: int = _READS_A_TURN) -> bool:
        """Read what is there, a bounded number of times; False at the source's end."""
        for _ in range(reads):
            try:
                chunk = os.read(source, _READ_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            if source == self._progress_source:
                self.progress_news = self._progress.feed(chunk) or self.progress_news
            else:
                self.output.write(self._streams[source], chunk, time.monotonic())
        return True

    def drain_rest(self) -> None:
        """Read what the pipes still hold; bounded, should a stranger hold a pipe."""
        for source in self.sources:
            self.drain(source, _LAST_READS)
        self.progress_news = self._progress.finish() or self.progress_news
        self.output.close()

    def take_progress(self) -> ProgressTold:
        """Return what the script said last; there are no news then."""
        self.progress_news = False
        return ProgressTold(
            event='progress', percent=self._progress.percent, message=self._progress.message
        )

    @property
    def progress_garbage(self) -> int:
        """Lines on the progress channel that said nothing that is understood."""
        return self._progress.garbage

    def largest_file_bytes(self) -> int:
        """Return the size of the largest file in the working directory."""
        return largest_file_bytes(self.working_directory)

    def write_end(self, report: EndReport) -> None:
        """Write the end file, for a gateway that starts after this one has died."""
        replace_file(self._path(END_FILE), json.dumps(report).encode())

    def remove_leavings(self) -> None:
        """Remove what only a living script needs."""
        remove_leavings(
            self._directory,
            self.cgroup,
            keep_working_directory=self._order['keep_working_directory'],
        )

    def _make_leaf(self) -> None:
        folder = self._order.get('cgroup')
        if folder is not None:
            # The supervisor holds the tree without it too.
            with contextlib.suppress(OSError):
                leaf = CgroupLeaf(folder, self._order['execution_id'])
                leaf.make(self._order['limits'])
                self.cgroup = leaf

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _filled(content: bytes) -> int:
    """Return a descriptor from which exactly `content` can be read.

    A file in memory needs nobody who writes while the script reads, whatever its size.
    """
    descriptor = os.memfd_create('stdin')
    with open(descriptor, 'wb', closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
