# SPDX-License-Identifier: Apache-2.0
"""Makes the process of a script: all that must happen until its program has begun.

`posix_spawn` copies nothing of the supervisor, and does most of what a script needs. Where it does
not, the supervisor forks; it has no threads, so Python may do it. Nothing here knows how the
script is watched afterwards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import fcntl
import functools
import os
import resource
import signal
import sys
from typing import NamedTuple, NoReturn

from gateway_node import inspection
from gateway_node.child.contract import OOM_SCORE_ADJUSTMENT, PROGRESS_FD
from gateway_node.child.process_tree import die_with_parent

_RESET_SIGNALS = [
    signal.SIGCHLD,
    *(number for number in signal.valid_signals() if signal.getsignal(number) != signal.SIG_DFL),
]
"""Python ignores SIGPIPE and SIGXFSZ, and who started the gateway may ignore others."""
_SYSTEM_FOLDERS = ('/bin', '/sbin', '/usr/bin', '/usr/sbin', os.path.dirname(sys.executable))
"""Of programs whose exec hangs only where nothing works any more, this process included."""


class Program(NamedTuple):
    """What is executed, and the world that it finds."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    working_directory: str
    stdin: int
    stdout: int
    stderr: int
    progress: int
    resource_limits: Mapping[int, int]
    """By resource (man 2 setrlimit), in the kernel's units; both soft and hard."""
    cgroup_procs: str | None
    """The `cgroup.procs` file of the cgroup to join."""


class Begun(NamedTuple):
    """A script's process, whose program has begun."""

    pid: int
    shared_bytes: int = 0
    """Of its memory, that it shares with the interpreter from which it was forked; 0 where it was
    executed."""


def inherit_bounds() -> None:
    """Set once, in the supervisor, what is the same for all of its scripts."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _own_score()


def execute(program: Program, await_readable: Callable[[int], None]) -> Begun:
    """Execute the program in a new process; return once its program has begun.

    An exec may hang, as on a mount that does not answer: `await_readable` waits until a
    descriptor can be read, and raises an OSError to give the program up.

    Raises:
        OSError: the program could not be executed; what was given up may still live.
    """
    asks = program.resource_limits or program.cgroup_procs is not None
    if asks or os.path.dirname(program.argv[0]) not in _SYSTEM_FOLDERS:
        return Begun(fork(program, await_readable, lambda _: replace_with(program)))
    return Begun(_spawn(program))


def _spawn(program: Program) -> int:
    """Execute it without a copy of this process, which has the script's world for that moment.

    There is no PR_SET_PDEATHSIG: what a supervisor leaves that is killed, its spawner ends.
    """
    # The progress channel comes last: the descriptor that it takes may be another's source.
    sources = (program.stdin, program.stdout, program.stderr, program.progress)
    os.chdir(program.working_directory)
    try:
        with _score_of_scripts():
            return os.posix_spawn(
                program.argv[0],
                list(program.argv),
                program.environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(sources)
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET_SIGNALS,
            )
    finally:
        os.chdir('/')


class _Score(NamedTuple):
    """This process's adjustment of the score by which the kernel ends processes."""

    descriptor: int
    """Of the file, for reading and writing; -1 where it cannot be written."""
    first: bytes
    """What it was before any script could make something of it."""


@functools.cache
def _own_score() -> _Score:
    try:
        # Whom nobody may look into can open it for that moment alone, and write it ever after.
        with inspection.allowed():
            descriptor = os.open('/proc/self/oom_score_adj', os.O_RDWR | os.O_CLOEXEC)
        return _Score(descriptor, os.pread(descriptor, 16, 0))
    except OSError:
        return _Score(-1, b'')


@contextlib.contextmanager
def _score_of_scripts() -> Iterator[None]:
    """Have this process's children begin with the adjustment of scripts.

    They could not raise it themselves. Back to where it was is allowed to everybody (man 5
    proc_pid_oom_score_adj).
    """
    descriptor, first = _own_score()
    if descriptor < 0:
        yield
        return
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, str(OOM_SCORE_ADJUSTMENT).encode(), 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, first, 0)


def fork(
    program: Program,
    await_readable: Callable[[int], None],
    begin: Callable[[int], NoReturn],
) -> int:
    """Have a new process begin in the program's world; return its pid once it has begun.

    It has begun where the descriptor that `begin` is given, of the new process, is closed there.

    Raises:
        OSError: as of `execute`, or whatever `begin` raises.
    """
    reading, writing = os.pipe()
    with _score_of_scripts():
        pid = os.fork()
        if pid == 0:
            _become(program, begin, writing)
    os.close(writing)
    with os.fdopen(reading, 'rb') as pipe:
        await_readable(reading)
        complaint = pipe.read()
    if not complaint:
        return pid
    os.waitpid(pid, 0)
    number, _, text = complaint.decode(errors='replace').partition(' ')
    raise OSError(int(number), text)


def replace_with(program: Program) -> NoReturn:
    """Execute the program in this process, which is in its world already.

    Raises:
        OSError: it cannot be executed.
    """
    os.execve(program.argv[0], list(program.argv), dict(program.environment))


def _become(program: Program, begin: Callable[[int], NoReturn], complaint_fd: int) -> NoReturn:
    try:
        _prepare(program)
        begin(complaint_fd)
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else 0
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with contextlib.suppress(OSError):
            os.write(complaint_fd, f'{number} {text}'.encode(errors='replace')[:4000])
    finally:
        # Nothing that the supervisor does at its end is for this process.
        os._exit(127)


def _prepare(program: Program) -> None:
    supervisor = os.getppid()
    os.setsid()
    die_with_parent()
    if os.getppid() != supervisor:
        os._exit(127)
    if program.cgroup_procs is not None:
        _put(program.cgroup_procs, '0')
    os.chdir(program.working_directory)
    _arrange_descriptors(program)
    for number in _RESET_SIGNALS:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for which, value in program.resource_limits.items():
        _, hard = resource.getrlimit(which)
        kept = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (kept, kept))


def _arrange_descriptors(program: Program) -> None:
    # Moved out of the way first, so that no dup2 below closes one that is still needed. All
    # others are close-on-exec, as Python opens them (PEP 446).
    sources = [
        fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, PROGRESS_FD + 1)
        for fd in (program.stdin, program.stdout, program.stderr, program.progress)
    ]
    for target, source in enumerate(sources):
        os.dup2(source, target, inheritable=True)


def _put(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)
