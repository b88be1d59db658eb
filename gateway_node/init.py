# SPDX-License-Identifier: Apache-2.0
"""What stands above the gateway where that is PID 1, as in a container; standard library only.

Processes that come to lie below PID 1 without being started by it, as those of `docker exec` do
when their parents end, are its children then, which it has to reap (man 7 pid_namespaces). So
that they are never the gateway's, which ends what a lost spawner leaves below it, PID 1 forks:
the child is the gateway, the parent reaps, and passes signals on.
"""

from __future__ import annotations

import contextlib
import os
import signal

from gateway_node import inspection

PROCESS_NAME = 'gw-init'
_SIGNALLED = 128
"""Added to the number of the signal that the gateway died of, as shells do."""
_FROM_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP})
_SI_KERNEL = 0x80


def stand_above() -> None:
    """Return in the process that is to be the gateway: this one, or a child where it is PID 1.

    Raises:
        SystemExit: there can be no child.
    """
    if os.getpid() != 1:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Blocked, they wait for the parent. PID 1 would not get what it has no handler for otherwise.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        gateway = os.fork()
    except OSError as error:
        raise SystemExit(f'gateway_node: no process can be made: {error.strerror}') from error
    if gateway == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    with contextlib.suppress(OSError), open('/proc/self/comm', 'w') as name:
        name.write(PROCESS_NAME)
    # It has the gateway's environment.
    inspection.forbid()
    os._exit(_see_through(gateway))


def _see_through(gateway: int) -> int:
    """Pass signals on and reap until the gateway has ended; return the status to end with."""
    while True:
        told = signal.sigwaitinfo(signal.valid_signals())
        if told.si_signo == signal.SIGCHLD:
            status = _reap(gateway)
            if status is not None:
                return status
        elif told.si_signo not in _FROM_KEYBOARD or told.si_code != _SI_KERNEL:
            # A terminal's keys reach the whole process group, and so the gateway by themselves.
            os.kill(gateway, told.si_signo)


def _reap(gateway: int) -> int | None:
    """Wait for all that has ended; return the gateway's status where it is among that."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == gateway:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _SIGNALLED - code
        if pid == 0:
            return None
