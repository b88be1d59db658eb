# SPDX-License-Identifier: Apache-2.0
"""What holds a script's processes on this machine: probed once, shown in /health.

Where this user may make cgroups (v2), each execution gets a leaf: `cgroup.kill` then reaches
everything, and the kernel keeps the limits whose controllers are there. Everywhere else the
supervisor holds the tree by itself and samples it. Sources: the kernel's cgroup-v2.rst, and
systemd's CGROUP_DELEGATION for what a service may do below its own cgroup.
"""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass
import logging
import os
from pathlib import Path
from typing import Any

from gateway_node.child.process_tree import descendants, read_entry

_log = logging.getLogger(__name__)

_OWN_PARENT = 'gateway_node'
_SERVICE_LEAF = 'service'
_WANTED = ('memory', 'pids', 'cpu')


@dataclass(frozen=True, kw_only=True)
class Containment:
    """How trees are held and who keeps which limit."""

    folder: Path | None
    """The cgroup in which executions get their leaves; None without."""
    controllers: frozenset[str]
    """Of the leaves."""
    reason: str
    """Why there is no cgroup, or which kind of permission there is."""

    def describe(self) -> Mapping[str, Any]:
        """Return what /health shows; JSON values."""
        memory = 'cgroup and sampling' if 'memory' in self.controllers else 'sampling'
        processes = 'cgroup and sampling' if 'pids' in self.controllers else 'sampling'
        return {
            'mechanism': 'supervisor' if self.folder is None else 'supervisor and cgroup',
            'cgroup': None if self.folder is None else str(self.folder),
            'controllers': sorted(self.controllers),
            'reason': self.reason,
            'limits': {
                'timeout_sec': 'supervisor',
                'cpu_sec': 'sampling and rlimit',
                'memory_mb': memory,
                'processes': processes,
                'open_files': 'rlimit and sampling',
                'file_size_mb': 'rlimit and sampling',
                'output_mb': 'supervisor',
            },
        }


def probe_containment(
    mounts: Path = Path('/proc/self/mountinfo'), membership: Path = Path('/proc/self/cgroup')
) -> Containment:
    """Find out, and prepare, what this process may use."""
    mount = _cgroup2_mount(mounts)
    if mount is None:
        return _without('cgroup v2 is not mounted')
    own = _own_cgroup(mount, membership)
    try:
        if own is not None and own.name == _SERVICE_LEAF and _is_delegated(own.parent):
            # Started from within the leaf into which an earlier gateway moved itself.
            own = own.parent
        if own is not None and _is_delegated(own):
            return _prepared_service(own)
        if os.geteuid() == 0:
            return _prepared(mount / _OWN_PARENT, 'root: a parent of its own')
    except OSError as error:
        return _without(f'no cgroup can be made: {error}')
    return _without('this user may make no cgroups (systemd: Delegate=yes)')


def remove_containment(containment: Containment) -> None:
    """Remove the folder of leaves where it is empty."""
    if containment.folder is not None:
        with contextlib.suppress(OSError):
            containment.folder.rmdir()


def _without(reason: str) -> Containment:
    return Containment(folder=None, controllers=frozenset(), reason=reason)


def _cgroup2_mount(mounts: Path) -> Path | None:
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(' - ')
        if after.split(' ', 1)[0] == 'cgroup2':
            return Path(before.split()[4])
    return None


def _own_cgroup(mount: Path, membership: Path) -> Path | None:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith('0::/'):
            return mount / line.removeprefix('0::/')
    return None


def _is_delegated(own: Path) -> bool:
    """Return True where a service manager gave the cgroup away, and says so.

    That it can be written is not enough: a user owns the scopes of his session, in which other
    programs of his are.
    """
    if not os.access(own, os.W_OK) or not os.access(own / 'cgroup.procs', os.W_OK):
        return False
    for attribute in ('trusted.delegate', 'user.delegate'):
        with contextlib.suppress(OSError):
            if os.getxattr(own, attribute) == b'1':
                return True
    return False


def _prepared_service(own: Path) -> Containment:
    """Move this process and its kin into a leaf, since only leaves may hold processes.

    Its kin are what is below it and what started it within the same cgroup, as `ros2 run` does.
    Whoever else is there stays; the kernel then refuses the controllers.
    """
    service = own / _SERVICE_LEAF
    service.mkdir(exist_ok=True)
    members = {int(pid) for pid in (own / 'cgroup.procs').read_text().split()}
    below = (entry.pid for entry in descendants(os.getpid()))
    for pid in members & {*_lineage(os.getpid()), *below}:
        with contextlib.suppress(ProcessLookupError):
            (service / 'cgroup.procs').write_text(str(pid))
    _enable(own)
    return _prepared(own / 'executions', 'delegated')


def _lineage(pid: int) -> Iterator[int]:
    """Yield the process and all above it."""
    entry = read_entry(pid)
    while entry is not None:
        yield entry.pid
        entry = read_entry(entry.parent)


def _prepared(folder: Path, reason: str) -> Containment:
    folder.mkdir(exist_ok=True)
    _enable(folder)
    leaf = folder / f'probe_{os.getpid()}'
    leaf.mkdir()
    try:
        if not (leaf / 'cgroup.kill').exists():
            return _without('the kernel has no cgroup.kill (Linux 5.14)')
        controllers = (leaf / 'cgroup.controllers').read_text().split()
    finally:
        leaf.rmdir()
    return Containment(folder=folder, controllers=frozenset(controllers), reason=reason)


def _enable(folder: Path) -> None:
    """Switch on what controllers there are, one at a time: one that fails spoils no other."""
    available = (folder / 'cgroup.controllers').read_text().split()
    for controller in _WANTED:
        if controller in available:
            try:
                (folder / 'cgroup.subtree_control').write_text(f'+{controller}')
            except OSError as error:
                _log.info('cgroup controller %s is not available: %s', controller, error)
