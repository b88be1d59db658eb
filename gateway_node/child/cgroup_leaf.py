# SPDX-License-Identifier: Apache-2.0
"""The cgroup v2 leaf of one execution (kernel documentation, cgroup-v2.rst)."""

import contextlib
import os

from gateway_node.child.messages import SupervisorLimits

_MIB = 1024 * 1024
_MEMORY_SLACK = 1.1
"""The sampled limit, which says what was used, comes first; the kernel's is the backstop."""
_TASKS_A_PROCESS = 64
_SPARE_TASKS = 1024
"""`pids.max` counts threads too, of which a process in a DDS graph has dozens. So it only bounds
what is forked between two samples, which count processes."""


class CgroupLeaf:
    """Holds a script's processes, wherever they hide in the process tree."""

    def __init__(self, folder: str, name: str) -> None:
        """Take the leaf of this name in a folder of them; `make` makes it."""
        self._path = os.path.join(folder, name)

    def make(self, limits: SupervisorLimits) -> None:
        """Make the leaf, and have the kernel keep what it can of the limits.

        Raises:
            OSError: it cannot be made.
        """
        # The folder too: another gateway may have removed it as empty.
        os.makedirs(self._path)
        if limits['memory_mb'] is not None:
            self._write('memory.max', int(limits['memory_mb'] * _MIB * _MEMORY_SLACK))
            self._write('memory.oom.group', 1)
        if limits['processes'] is not None:
            self._write('pids.max', limits['processes'] * _TASKS_A_PROCESS + _SPARE_TASKS)

    @property
    def procs(self) -> str:
        """The file by which a process joins."""
        return os.path.join(self._path, 'cgroup.procs')

    @property
    def cpu_sec(self) -> float:
        """User and system seconds of all that was ever in it; 0 where unknown."""
        return self._field('cpu.stat', 'usage_usec') / 1e6

    @property
    def peak_bytes(self) -> int:
        """Greatest memory of all that was in it at one moment; 0 where unknown."""
        try:
            with open(os.path.join(self._path, 'memory.peak')) as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    @property
    def out_of_memory(self) -> bool:
        """True where the kernel killed for `memory.max`."""
        return self._field('memory.events', 'oom_kill') > 0

    @property
    def refused_tasks(self) -> bool:
        """True where the kernel refused a process or a thread for `pids.max`."""
        return self._field('pids.events', 'max') > 0

    @property
    def max_tasks(self) -> int:
        """The bound on processes and threads together; 0 where there is none."""
        try:
            with open(os.path.join(self._path, 'pids.max')) as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def join(self, pid: int) -> None:
        """Have a process join, where it still lives."""
        self._write('cgroup.procs', pid)

    def kill(self) -> None:
        """Kill everything in it, where it is there."""
        self._write('cgroup.kill', 1)

    def remove(self) -> bool:
        """Remove it where it is there; False where something is left in it."""
        try:
            os.rmdir(self._path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _write(self, name: str, value: int) -> None:
        # A controller that is not there has no file: its limit is then kept by sampling alone.
        with contextlib.suppress(OSError), open(os.path.join(self._path, name), 'w') as file:
            file.write(str(value))

    def _field(self, name: str, field: str) -> int:
        try:
            with open(os.path.join(self._path, name)) as file:
                fields = dict(line.split() for line in file)
            return int(fields.get(field, 0))
        except (OSError, ValueError):
            return 0
