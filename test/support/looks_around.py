# SPDX-License-Identifier: Apache-2.0
"""A script that looks into every process of its user, as far as the kernel lets it."""

import ctypes
import json
import os
from pathlib import Path
import sys

PTRACE_DETACH, PTRACE_SEIZE = 17, 0x4206
PIDFD_GETFD = 438
FIRST_DESCRIPTORS = 32

libc = ctypes.CDLL(None, use_errno=True)


def is_readable(path: str) -> bool:
    """Tell whether a file can be opened and gives something."""
    try:
        with open(path, 'rb', buffering=0) as file:
            # Of the memory, nothing is at the beginning: that it can be opened is enough.
            return path.endswith('/mem') or bool(file.read(64))
    except OSError:
        return False


def is_named(path: str) -> bool:
    """Tell whether what a descriptor is can be read."""
    try:
        return bool(os.readlink(path))
    except OSError:
        return False


def can_take_over(pid: int) -> bool:
    """Tell whether a process can be traced; it is let go again."""
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) != 0:
        return False
    libc.ptrace(PTRACE_DETACH, pid, 0, 0)
    return True


def can_take_a_descriptor(pid: int) -> bool:
    """Tell whether one of the first descriptors can be had."""
    pidfd = os.pidfd_open(pid)
    taken = [libc.syscall(PIDFD_GETFD, pidfd, each, 0) for each in range(FIRST_DESCRIPTORS)]
    os.close(pidfd)
    return any(each >= 0 for each in taken)


def ways_into(pid: int) -> list[str]:
    """Return what of a process can be had."""
    folder = f'/proc/{pid}'
    found = [name for name in ('environ', 'maps', 'mem') if is_readable(f'{folder}/{name}')]
    if any(is_named(f'{folder}/fd/{each}') for each in range(FIRST_DESCRIPTORS)):
        found.append('fd')
    if can_take_over(pid):
        found.append('ptrace')
    if can_take_a_descriptor(pid):
        found.append('pidfd_getfd')
    return found


def is_ours(pid: int) -> bool:
    """Tell whether a process is of this user."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    (uids,) = [line for line in lines if line.startswith('Uid:')]
    return int(uids.split()[1]) == os.getuid()


def main() -> None:
    """Print what was found, as JSON."""
    of_others: dict[str, list[str]] = {}
    for pid in map(int, filter(str.isdecimal, os.listdir('/proc'))):
        try:
            name = Path(f'/proc/{pid}/comm').read_text().strip()
            if pid != os.getpid() and is_ours(pid):
                of_others[f'{pid} {name}'] = ways_into(pid)
        except OSError:
            continue
    descriptors = {each: os.readlink(f'/proc/self/fd/{each}') for each in (0, 1, 2, 3)}
    others = [int(each) for each in os.listdir('/proc/self/fd') if int(each) > 3]
    sys.stdout.write(
        json.dumps(
            {
                'user': os.getuid(),
                'of_others': of_others,
                'own_ways': [f for f in ('environ', 'mem') if is_readable(f'/proc/self/{f}')],
                'oom_score_adj': int(Path('/proc/self/oom_score_adj').read_text()),
                'descriptors': descriptors,
                # That of the listing itself is closed by now.
                'others': [each for each in others if is_named(f'/proc/self/fd/{each}')],
                'environment': dict(os.environ),
            }
        )
    )


if __name__ == '__main__':
    main()
