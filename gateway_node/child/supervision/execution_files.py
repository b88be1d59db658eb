# SPDX-License-Identifier: Apache-2.0
"""The files and pipes of one execution, as its supervisor holds them.

What only the living script needs is in the supervisor's own workplace. What is kept of it is in
the execution's directory, which is made when there is something to keep.
"""

import base64
from collections.abc import Iterable, Mapping
import contextlib
import os
import time

from gateway_node.child.artifact_keeping import is_left, keep_artifacts, KeptArtifacts
from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import END_FILE
from gateway_node.child.exposed_files import largest_file_bytes
from gateway_node.child.kept_bytes import kept_bytes
from gateway_node.child.messages import ProgressTold, SupervisorOrder
from gateway_node.child.output_frames import STDERR, STDOUT
from gateway_node.child.supervision.output_writing import OutputLog
from gateway_node.child.supervision.program import Program
from gateway_node.child.supervision.progress_lines import ProgressLines
from gateway_node.child.supervision.usage import resource_limits
from gateway_node.child.supervision.workplace import Workplace

_READ_BYTES = 64 * 1024
_READS_A_TURN = 16
_LAST_READS = 64


class ExecutionFiles:
    """Made before the script starts; outlives its tree.

    Raises:
        OSError: something of it cannot be made.
    """

    def __init__(
        self, order: SupervisorOrder, workplace: Workplace, base_environment: Mapping[str, str]
    ) -> None:
        self._order = order
        self._workplace = workplace
        self._progress = ProgressLines()
        self.cgroup: CgroupLeaf | None = None
        self.progress_news = False
        if 'script_file' in order:
            # An interpreter would only say so on stderr, and exit with a status of its own.
            os.stat(order['script_file'])
        self.output = OutputLog(order['directory'], time.monotonic())
        self._progress_source = workplace.make()
        stdout, script_stdout = os.pipe()
        stderr, script_stderr = os.pipe()
        for source in (stdout, stderr):
            os.set_blocking(source, False)
        self._streams = {stdout: STDOUT, stderr: STDERR}
        self._open_streams = {stdout, stderr}
        """Those that are not at their end."""
        # In this order: of what is there at once, stdout goes first.
        self.sources = (stdout, stderr, self._progress_source)
        """What has to be drained."""
        stdin, progress = _filled(order['stdin'].encode()), workplace.open_progress()
        limits = order['limits']
        if limits['memory_mb'] is not None or limits['processes'] is not None:
            self._make_leaf()
        variables = order.get('folder_variables', {}).items()
        self.program = Program(
            argv=order['argv'],
            environment={
                **base_environment,
                **order['environment'],
                **{name: workplace.path(path) for name, path in variables},
            },
            working_directory=workplace.working_directory,
            stdin=stdin,
            stdout=script_stdout,
            stderr=script_stderr,
            progress=progress,
            resource_limits=resource_limits(limits),
            cgroup_procs=None if self.cgroup is None else self.cgroup.procs,
        )

    def close_script_ends(self) -> None:
        """Close what only the script is to hold.

        Its end of the progress channel stays open here too: a writer that leaves does not end it.
        """
        program = self.program
        for descriptor in (program.stdin, program.stdout, program.stderr):
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
                self._open_streams.discard(source)
                return False
            if source == self._progress_source:
                self.progress_news = self._progress.feed(chunk) or self.progress_news
            else:
                self.output.write(self._streams[source], chunk, time.monotonic())
        return True

    def drain_rest(self) -> bool:
        """Read what is left, and close it; False where a stranger holds a pipe of the script.

        Bounded, should it write.
        """
        os.close(self.program.progress)
        for stream in self._streams:
            if stream in self._open_streams:
                self.drain(stream, _LAST_READS)
        channel_open = self.drain(self._progress_source, _LAST_READS)
        self.progress_news = self._progress.finish() or self.progress_news
        for stream in self._streams:
            os.close(stream)
        self.output.close()
        return not self._open_streams and not channel_open

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

    def tidy(self) -> bool:
        """Have the workplace be as it was before; False where that is not sure."""
        return self._workplace.tidy()

    def largest_file_bytes(self) -> int:
        """Return the size of the largest file in the working directory."""
        return largest_file_bytes(self._workplace.working_directory)

    def take_result(self) -> tuple[str | None, str]:
        """Return what the script gave as its result, in base64, and why that is not told."""
        content, complaint = self._workplace.take_result()
        return None if content is None else base64.b64encode(content).decode(), complaint

    def keep_working_directory(self) -> bool:
        """Move the working directory where it is kept, if it is to be; False where that fails."""
        if not self._order['keep_working_directory']:
            return True
        return self._workplace.keep_working_directory(self._order['directory'])

    @property
    def has_artifacts(self) -> bool:
        """Whether the script left anything to be kept."""
        return 'artifacts' in self._order and is_left(self._workplace.artifacts)

    def keep_artifacts(self) -> KeptArtifacts:
        """Move what the script left to be kept to where it is kept, within the bounds."""
        bounds, left = self._order['artifacts'], self._workplace.artifacts
        return keep_artifacts(left, self._order['directory'], bounds)

    def remove_cgroup(self) -> bool:
        """Remove the cgroup, if there is one; False where it stays."""
        return self.cgroup is None or self.cgroup.remove()

    def kept_bytes(self) -> int:
        """Return what the execution takes of the disk from now on."""
        return kept_bytes(self._order['directory'], without=(END_FILE,))

    def _make_leaf(self) -> None:
        folder = self._order.get('cgroup')
        if folder is not None:
            # The supervisor holds the tree without it too.
            with contextlib.suppress(OSError):
                leaf = CgroupLeaf(folder, self._order['execution_id'])
                leaf.make(self._order['limits'])
                self.cgroup = leaf


def _filled(content: bytes) -> int:
    """Return a descriptor from which exactly `content` can be read.

    A file in memory needs nobody who writes while the script reads, whatever its size.
    """
    descriptor = os.memfd_create('stdin')
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
