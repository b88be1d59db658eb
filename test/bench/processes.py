# SPDX-License-Identifier: Apache-2.0
"""What a process and all below it use."""

import os
from pathlib import Path

from gateway_node.child.process_tree import descendants, read_entry, read_proc

_TICK_MS = 1000 / os.sysconf('SC_CLK_TCK')
MIB = 1024 * 1024


def processor_ms(pid: int) -> float:
    """Return the processor time of a tree since its begin, of those that have ended too."""
    root = read_entry(pid)
    assert root is not None
    return sum(each.cpu_ticks for each in [root, *descendants(pid)]) * _TICK_MS


def proportional_mib(pid: int) -> float:
    """Return the memory of a tree; what processes share counts once (PSS, man 5 proc)."""
    return sum(_kib(each, 'smaps_rollup', b'Pss:') for each in _tree(pid)) / 1024


def written_kib(pid: int) -> float:
    """Return what a tree that lives has caused to be written to disks."""
    fields = (b'write_bytes:', b'cancelled_write_bytes:')
    written, cancelled = (sum(_kib(each, 'io', field) for each in _tree(pid)) for field in fields)
    return (written - cancelled) / 1024


def disk_kib(folder: Path) -> float | None:
    """Return what was written to the disk of a folder since the machine's start, by all.

    None where its file system has no disk of its own.
    """
    device = folder.stat().st_dev
    statistics = Path(f'/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat')
    # Its seventh field: sectors of 512 bytes (Documentation/block/stat.rst).
    return int(statistics.read_text().split()[6]) / 2 if statistics.exists() else None


def _tree(pid: int) -> list[int]:
    return [pid, *(each.pid for each in descendants(pid))]


def _kib(pid: int, name: str, field: bytes) -> int:
    for line in read_proc(pid, name).splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0
