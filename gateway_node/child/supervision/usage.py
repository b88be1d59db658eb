# SPDX-License-Identifier: Apache-2.0
"""What a process tree uses of the machine, and which limit it has reached."""

from collections.abc import Callable, Iterable
import contextlib
import os
import resource
import signal
import stat

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.messages import LimitNote, SupervisorLimits
from gateway_node.child.process_tree import Identity, ProcessEntry, read_proc

_TICKS = os.sysconf('SC_CLK_TCK')
_PAGE = os.sysconf('SC_PAGE_SIZE')
MIB = 1024 * 1024
_ROUNDING_TICKS = 2
"""By so much the kernel's accounts, which are cut to ticks, may seem to fall."""

WATCHED_INTERVAL_SEC = 0.1
"""Between two samples where a limit is to be kept."""
CLOSE_INTERVAL_SEC = 0.02
"""The same from half of the memory limit on."""
RECORDED_INTERVAL_SEC = 1.0
"""The same where the use is only recorded."""


def resource_limits(limits: SupervisorLimits) -> dict[int, int]:
    """Return what the kernel can keep for each process by itself (man 2 setrlimit).

    RLIMIT_CPU counts one process and is set a second late: the sampling, which sees the whole
    tree, comes first. Open files and bytes of a file are one more than allowed, so that the
    sampling tells too many from just enough. RLIMIT_NPROC counts the user and RLIMIT_AS breaks
    DDS; neither is set.
    """
    kept: dict[int, int] = {}
    if limits['cpu_sec'] is not None:
        kept[resource.RLIMIT_CPU] = int(limits['cpu_sec']) + 2
    if limits['open_files'] is not None:
        kept[resource.RLIMIT_NOFILE] = limits['open_files'] + 1
    if limits['file_size_mb'] is not None:
        kept[resource.RLIMIT_FSIZE] = int(limits['file_size_mb'] * MIB) + 1
    return kept


class UsageMeter:
    """Measures one tree: samples of what lives, and the kernel's accounts of what has ended."""

    def __init__(
        self, limits: SupervisorLimits, working_directory: str, shared_bytes: int = 0
    ) -> None:
        """`shared_bytes` of the main process's memory are not its own: they count for nothing."""
        self._shared_bytes = shared_bytes
        self._own_files = ''
        if limits['file_size_mb'] is not None:
            # As /proc shows them: links resolved.
            self._own_files = os.path.join(os.path.realpath(working_directory), '')
        self._first_sizes: dict[tuple[int, int], int] = {}
        """Of files that are open for writing, by device and inode, when they were seen first."""
        self.max_memory_bytes = 0
        self._limits = limits
        self._ended_cpu_sec = 0.0
        self._cpu_sec = 0.0
        self._sampled: dict[Identity, ProcessEntry] = {}
        self._sampled_ended_cpu_sec = 0.0
        self._unclaimed_cpu_sec = 0.0
        """Of processes for which nobody waited: the kernel charges it to no parent."""
        self._last_memory_bytes = 0
        self._watched = any(
            limits[name]
            for name in ('cpu_sec', 'memory_mb', 'processes', 'open_files', 'file_size_mb')
        )

    @property
    def cpu_sec(self) -> float:
        """User and system seconds of the tree so far."""
        return max(self._cpu_sec, self._ended_cpu_sec + self._unclaimed_cpu_sec)

    @property
    def interval_sec(self) -> float:
        """Seconds until the next sample."""
        if not self._watched:
            return RECORDED_INTERVAL_SEC
        memory_mb = self._limits['memory_mb']
        if memory_mb is not None and self._last_memory_bytes > memory_mb * MIB / 2:
            return CLOSE_INTERVAL_SEC
        return WATCHED_INTERVAL_SEC

    def account(self, use: resource.struct_rusage, *, is_main: bool = False) -> None:
        """Take the account of a child that has ended, and of the children it waited for."""
        self._ended_cpu_sec += use.ru_utime + use.ru_stime
        own_bytes = use.ru_maxrss * 1024 - (self._shared_bytes if is_main else 0)
        self.max_memory_bytes = max(self.max_memory_bytes, own_bytes)

    def take_kernels_account(self, cgroup: CgroupLeaf) -> None:
        """Take what a cgroup counted, which misses nothing between two samples."""
        self._cpu_sec = max(self.cpu_sec, cgroup.cpu_sec)
        self.max_memory_bytes = max(self.max_memory_bytes, cgroup.peak_bytes)

    def sample(
        self, tree: Iterable[ProcessEntry], cgroup: CgroupLeaf | None = None
    ) -> LimitNote | None:
        """Measure what lives; return the limit that is reached, if one is."""
        present = {entry.identity: entry for entry in tree}
        self._measure_cpu(present)
        if cgroup is not None:
            self._cpu_sec = max(self._cpu_sec, cgroup.cpu_sec)
        living = [entry for entry in present.values() if not entry.is_zombie]
        memory = self._memory_bytes(living)
        self._last_memory_bytes = memory
        self.max_memory_bytes = max(self.max_memory_bytes, memory)
        return self._cpu_hit() or self._whole_tree_hit(living, memory) or self._file_hit(living)

    def _measure_cpu(self, present: dict[Identity, ProcessEntry]) -> None:
        """Add up what lives, what was waited for, and what vanished unclaimed (man 2 wait)."""
        vanished = sum(e.cpu_ticks for key, e in self._sampled.items() if key not in present)
        claimed = sum(
            entry.waited_ticks - self._sampled[key].waited_ticks
            for key, entry in present.items()
            if key in self._sampled
        )
        ended_sec = self._ended_cpu_sec - self._sampled_ended_cpu_sec
        unclaimed_ticks = vanished - claimed - ended_sec * _TICKS
        if unclaimed_ticks > _ROUNDING_TICKS:
            self._unclaimed_cpu_sec += unclaimed_ticks / _TICKS
        self._sampled, self._sampled_ended_cpu_sec = present, self._ended_cpu_sec
        lives_sec = sum(entry.cpu_ticks for entry in present.values()) / _TICKS
        self._cpu_sec = max(
            self._cpu_sec, self._ended_cpu_sec + self._unclaimed_cpu_sec + lives_sec
        )

    def _memory_bytes(self, living: list[ProcessEntry]) -> int:
        resident = sum(entry.resident_pages for entry in living) * _PAGE - self._shared_bytes
        limit_mb = self._limits['memory_mb']
        if limit_mb is None or len(living) < 2 or resident <= limit_mb * MIB:
            return max(0, resident)
        # Pages that processes share count once; reading that is dear and rarely needed.
        return min(resident, sum(_proportional_bytes(entry) for entry in living))

    def _cpu_hit(self) -> LimitNote | None:
        limit = self._limits['cpu_sec']
        if limit is not None and self.cpu_sec >= limit:
            return limit_note('cpu_sec', limit, round(self.cpu_sec, 2))
        return None

    def _whole_tree_hit(self, living: list[ProcessEntry], memory: int) -> LimitNote | None:
        memory_mb, processes = self._limits['memory_mb'], self._limits['processes']
        if memory_mb is not None and memory > memory_mb * MIB:
            return limit_note('memory_mb', memory_mb, round(memory / MIB, 1))
        if processes is not None and len(living) > processes:
            return limit_note('processes', processes, len(living))
        return None

    def _file_hit(self, living: list[ProcessEntry]) -> LimitNote | None:
        open_files, file_size_mb = self._limits['open_files'], self._limits['file_size_mb']
        if open_files is None and file_size_mb is None:
            return None
        written: dict[tuple[int, int], int] = {}
        hit = None
        for entry in living:
            descriptors = _descriptors(entry.pid)
            if open_files is not None and len(descriptors) > open_files:
                hit = hit or limit_note('open_files', open_files, len(descriptors))
            if file_size_mb is not None:
                size = max((self._grown(file, written) for file in descriptors), default=0)
                if size > int(file_size_mb * MIB):
                    hit = hit or limit_note('file_size_mb', file_size_mb, round(size / MIB, 3))
        self._first_sizes = written
        return hit

    def _grown(self, descriptor: str, written: dict[tuple[int, int], int]) -> int:
        """Return the size of the file there if the script made it grow, else 0.

        Files of the working directory are the script's own; others may have been there before.
        """
        found = _open_for_writing(descriptor)
        if found is None:
            return 0
        key = (found.st_dev, found.st_ino)
        first = self._first_sizes.get(key)
        if first is None:
            with contextlib.suppress(OSError):
                own = os.readlink(descriptor).startswith(self._own_files)
                first = 0 if own else found.st_size
        if first is None:
            return 0
        written[key] = first
        return found.st_size if found.st_size > first else 0


def limit_note(name: str, value: float, used: float) -> LimitNote:
    """Return the note of a limit that was reached, its value and what was used."""
    return LimitNote(name=name, value=value, used=used)


def kernel_hit(
    limits: SupervisorLimits,
    meter: UsageMeter,
    cgroup: CgroupLeaf | None,
    largest_file_bytes: Callable[[], int],
    number: int | None,
) -> LimitNote | None:
    """Return the limit by which the kernel ended a script, or made it fail.

    `number` is that of the signal of which its main process died.
    """
    memory_mb, processes = limits['memory_mb'], limits['processes']
    cpu_sec, file_mb = limits['cpu_sec'], limits['file_size_mb']
    if memory_mb is not None and cgroup is not None and cgroup.out_of_memory:
        return limit_note(
            'memory_mb', memory_mb, max(memory_mb, round(meter.max_memory_bytes / MIB, 1))
        )
    if processes is not None and cgroup is not None and cgroup.refused_tasks:
        return limit_note('processes', processes, cgroup.max_tasks)
    if cpu_sec is not None and (number == signal.SIGXCPU or meter.cpu_sec >= cpu_sec):
        return limit_note('cpu_sec', cpu_sec, round(meter.cpu_sec, 2))
    if file_mb is not None:
        largest = largest_file_bytes()
        if number == signal.SIGXFSZ or largest > int(file_mb * MIB):
            return limit_note('file_size_mb', file_mb, max(file_mb, round(largest / MIB, 3)))
    return None


def _proportional_bytes(entry: ProcessEntry) -> int:
    rollup = read_proc(entry.pid, 'smaps_rollup')
    for line in rollup.splitlines():
        if line.startswith(b'Pss:'):
            return int(line.split()[1]) * 1024
    return entry.resident_pages * _PAGE if rollup else 0


def _descriptors(pid: int) -> list[str]:
    try:
        return [f'/proc/{pid}/fd/{name}' for name in os.listdir(f'/proc/{pid}/fd')]
    except OSError:
        return []


def _open_for_writing(descriptor: str) -> os.stat_result | None:
    """Return the stat of the regular file that is open for writing there, else None."""
    try:
        found = os.stat(descriptor)
        # The link's own permission bits say how it was opened (man 5 proc_pid_fd).
        writable = os.lstat(descriptor).st_mode & stat.S_IWUSR
    except OSError:
        return None
    return found if writable and stat.S_ISREG(found.st_mode) else None
