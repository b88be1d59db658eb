# SPDX-License-Identifier: Apache-2.0
"""What the process was born with, put in order before anything else; standard library only.

Descriptors, signals, limits, HOME and encoding come from whoever started the process.
"""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import errno
import os
import pwd
import resource
import signal
import sys
from typing import NamedTuple

from gateway_node.before_start import StartRefused

_MIB = 1024 * 1024
_LEFT_IGNORED = frozenset(
    {
        # Python ignores these by itself, and turns them into errors.
        *(signal.SIGPIPE, signal.SIGXFSZ),
        # nohup: the end of a terminal is nothing to this process (see `EndSignals`).
        signal.SIGHUP,
        # A shell without job control keeps what it starts from being stopped by a terminal.
        *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    }
)


class Limit(NamedTuple):
    """A limit below which the gateway cannot work (man 2 setrlimit)."""

    resource: int
    least: int
    unit: int
    what: str
    where: str
    """In a shell and in a systemd unit."""


_LIMITS = (
    Limit(resource.RLIMIT_NOFILE, 64, 1, 'open files', 'ulimit -n, or LimitNOFILE='),
    Limit(resource.RLIMIT_FSIZE, _MIB, _MIB, 'MiB of a file', 'ulimit -f, or LimitFSIZE='),
    # Of the user, threads included.
    Limit(resource.RLIMIT_NPROC, 64, 1, 'processes', 'ulimit -u, or LimitNPROC='),
    # At which the kernel ends it.
    Limit(resource.RLIMIT_CPU, 3600, 1, 's of processor time', 'ulimit -t, or LimitCPU='),
    # DDS reserves much more than it uses.
    Limit(resource.RLIMIT_AS, 1024 * _MIB, _MIB, 'MiB of addresses', 'ulimit -v, or LimitAS='),
)


def put_in_order() -> None:
    """Give this process what it needs of what it should have been given.

    SIGHUP waits in the kernel from here on, until somebody unblocks it.

    Raises:
        StartRefused: something cannot be mended; the line says what and where.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP})
    for number in signal.valid_signals() - _LEFT_IGNORED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _open_standard_streams()
    find_home()
    _be_in_utf8()
    for complaint in too_low(_LIMITS):
        raise StartRefused(complaint)


def has_terminal() -> bool:
    """Tell whether the process has a controlling terminal that is still there (man 4 tty)."""
    try:
        descriptor = os.open('/dev/tty', os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # Any other reason, as that no descriptor is free, tells nothing about the terminal.
        return error.errno not in (errno.ENXIO, errno.EIO, errno.ENOENT)
    os.close(descriptor)
    return True


def too_low(limits: Iterable[Limit]) -> Iterable[str]:
    """Yield a sentence for each of the limits that is too low here."""
    for limit in limits:
        if limit.resource == resource.RLIMIT_NPROC and os.getuid() == 0:
            continue  # root is exempt (man 2 setrlimit)
        soft, _ = resource.getrlimit(limit.resource)
        if soft != resource.RLIM_INFINITY and soft < limit.least:
            yield (
                f'the limit of {soft / limit.unit:g} {limit.what} is too low; '
                f'at least {limit.least // limit.unit} are needed: {limit.where}'
            )


def find_home() -> None:
    """Set HOME where it is missing, as in a service without a user of its own."""
    if not os.environ.get('HOME'):
        # A user id without a name has none: ROS then says what it lacks.
        with contextlib.suppress(KeyError):
            os.environ['HOME'] = pwd.getpwuid(os.getuid()).pw_dir


def _open_standard_streams() -> None:
    """See to it that no file or socket of ours becomes stdin, stdout or stderr."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has no object for those that it found closed.
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, 'w', closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, 'w', closefd=False)


def _be_in_utf8() -> None:
    """Begin again in UTF-8 mode (PEP 540) where the locale has another encoding.

    Else the names of uploaded files could not be stored, and variables would change their bytes on
    the way to a script.
    """
    if sys.getfilesystemencoding() != 'utf-8':
        os.execv(sys.executable, [sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])
