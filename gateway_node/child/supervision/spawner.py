# SPDX-License-Identifier: Apache-2.0
"""A small process without threads that forks supervisors.

The gateway executes it once. It is a subreaper: what a supervisor leaves when it ends, as a lost
one does, becomes its own, and it ends that and says so. It continues supervisors that a script
stops.
"""

from collections import deque
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
import time

from gateway_node import inspection
from gateway_node.child import process_tree
from gateway_node.child.contract import SPAWNER_NAME
from gateway_node.child.killing import Killing
from gateway_node.child.messages import (
    ForkRefused,
    SpawnerMessage,
    SpawnerReady,
    SupervisorForked,
    SupervisorGone,
)
from gateway_node.child.supervision.program import execute
from gateway_node.child.supervision.script_start import ProgramStarter, supervise
from gateway_node.child.supervision.wakeup import Wakeup
from gateway_node.child.wire import receive_packet

_ABANDONED_PATIENCE_SEC = 20.0
"""Longest wait for supervisors to end their trees once the gateway is gone."""


def main(start_program: ProgramStarter = execute) -> None:
    """Serve a gateway: argv names the control socket's and the gateway's pidfd's number.

    Supervisors have scripts started by `start_program`.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    pidfd = int(sys.argv[2])
    for descriptor in (control.fileno(), pidfd):
        os.set_inheritable(descriptor, False)
    inspection.forbid_unless_hidden()
    process_tree.set_name(SPAWNER_NAME)
    process_tree.become_subreaper()
    # What is there by now stays: no collection in a supervisor looks at it, and copies it thereby.
    gc.freeze()
    Spawner(control, pidfd, start_program).serve()


class Spawner:
    """Forks supervisors on request and looks after what they leave."""

    def __init__(
        self, control: socket.socket, gateway_pidfd: int, start_program: ProgramStarter
    ) -> None:
        self._control = control
        self._start_program = start_program
        control.setblocking(False)
        self._untold: deque[tuple[bytes, list[int]]] = deque()
        """For which there was no room yet, each with the descriptors that go with it."""
        self._gateway_pidfd = gateway_pidfd
        self._supervisors: dict[int, str] = {}
        self._ended: dict[str, float] = {}
        """Supervisors that are gone, until nothing is left of their trees: when each still was."""
        self._reaped_at = time.monotonic()
        self._killing = Killing()
        self._given_up: set[process_tree.Identity] = set()
        self._abandoned_at: float | None = None
        self._wakeup = Wakeup()

    def serve(self) -> None:
        """Serve until the gateway is gone and nothing is left below."""
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._gateway_pidfd, self._wakeup.descriptor):
            poll.register(descriptor, select.POLLIN)
        self._tell(SpawnerReady(event='ready'))
        while not self._finished():
            busy = self._ended or self._abandoned_at is not None
            if self._abandoned_at is None:
                waits = select.POLLOUT if self._untold else 0
                poll.modify(self._control, select.POLLIN | waits)
            for descriptor, _ in poll.poll(
                process_tree.KILL_INTERVAL_SEC * 1000 if busy else None
            ):
                if descriptor == self._wakeup.descriptor:
                    self._wakeup.clear()
                elif descriptor == self._gateway_pidfd or not self._take_request():
                    poll.unregister(self._control)
                    poll.unregister(self._gateway_pidfd)
                    self._abandoned_at = time.monotonic()
                    break
            self._reap()
            if self._ended:
                self._end_orphans()
            self._push()

    def _finished(self) -> bool:
        if self._abandoned_at is None:
            return False
        if time.monotonic() - self._abandoned_at > _ABANDONED_PATIENCE_SEC:
            # Supervisors that do not end in time are ended here, and their trees after them.
            for pid in self._supervisors:
                os.kill(pid, signal.SIGKILL)
            self._abandoned_at = time.monotonic()
        return not self._supervisors and not self._ended

    def _take_request(self) -> bool:
        """Fork a supervisor for the channel that comes with the request; False at the end.

        The request is the path of its folder, which is its name here too.
        """
        try:
            packet, descriptors = receive_packet(self._control)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not packet:
            return False
        name = packet.decode()
        if not descriptors:
            # As many files are open as may be: the kernel drops what comes then (man 7 unix).
            self._refuse(name, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
            return True
        try:
            pid = os.fork()
        except OSError as error:
            self._refuse(name, error)
        else:
            if pid == 0:
                self._become_supervisor(descriptors[0], name)
            self._supervisors[pid] = name
            self._introduce(name, pid)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _refuse(self, name: str, error: OSError) -> None:
        self._tell(ForkRefused(event='refused', name=name, message=error.strerror or str(error)))

    def _introduce(self, name: str, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            self._refuse(name, error)
            return
        self._tell(SupervisorForked(event='forked', name=name, pid=pid), [pidfd])

    def _become_supervisor(self, channel: int, folder: str) -> None:
        status = 1
        try:
            self._wakeup.close()
            for descriptor in [fd for _, descriptors in self._untold for fd in descriptors]:
                os.close(descriptor)
            self._control.close()
            channel_socket = socket.socket(fileno=channel)
            supervise(channel_socket, self._gateway_pidfd, self._start_program, folder)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _reap(self) -> None:
        lived_at, self._reaped_at = self._reaped_at, time.monotonic()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                if pid in self._supervisors:
                    os.kill(pid, signal.SIGCONT)
                continue
            name = self._supervisors.pop(pid, None)
            if name is not None:
                self._ended[name] = lived_at

    def _end_orphans(self) -> None:
        """Kill what is below no supervisor; then report the supervisors that have ended."""
        below = process_tree.descendants(os.getpid(), without=self._supervisors)
        orphans = [entry for entry in below if entry.identity not in self._given_up]
        if self._killing.round(orphans):
            return
        left = [entry for entry in orphans if not entry.is_zombie]
        self._given_up.update(entry.identity for entry in left)
        for name, lived_at in self._ended.items():
            own = [entry for entry in left if self._killing.since(entry) >= lived_at]
            self._tell(
                SupervisorGone(
                    event='gone',
                    name=name,
                    unkillable=self._killing.notes(own),
                )
            )
        self._ended.clear()
        self._killing.killed.clear()

    def _tell(self, message: SpawnerMessage, descriptors: list[int] | None = None) -> None:
        """Send the message as soon as the gateway takes it; the descriptors are closed then."""
        self._untold.append((json.dumps(message).encode(), descriptors or []))
        self._push()

    def _push(self) -> None:
        while self._untold:
            packet, descriptors = self._untold[0]
            try:
                socket.send_fds(self._control, [packet], descriptors)
            except BlockingIOError:
                return
            except OSError:
                # The gateway is gone, as its pidfd is about to tell.
                pass
            self._untold.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
