# SPDX-License-Identifier: Apache-2.0
"""A supervisor's life: it waits for an order, starts the script, sees it through, waits again."""

from collections.abc import Callable, Mapping
import contextlib
import errno
import os
import socket

from gateway_node.child import process_tree
from gateway_node.child.contract import SPARE_NAME, SUPERVISOR_NAME
from gateway_node.child.killing import end_all
from gateway_node.child.messages import ProcessNote, StartFailed, SupervisorOrder
from gateway_node.child.supervision.execution_files import ExecutionFiles
from gateway_node.child.supervision.gateway_link import GatewayLink
from gateway_node.child.supervision.own_state import OwnState
from gateway_node.child.supervision.program import Begun, inherit_bounds, Program
from gateway_node.child.supervision.seen_end import SeenEnd
from gateway_node.child.supervision.supervisor import REPORT_PATIENCE_SEC, Supervisor
from gateway_node.child.supervision.wakeup import Wakeup
from gateway_node.child.supervision.workplace import Workplace

ProgramStarter = Callable[[Program, Callable[[int], None]], Begun]


def supervise(
    channel: socket.socket, gateway_pidfd: int, start_program: ProgramStarter, folder: str
) -> None:
    """Take orders from the channel, one after the other, and see each through to its end.

    `start_program` makes the script's process, however it likes; it waits with the
    function that it is given. Where it raises, what it began is ended here. `folder` is made
    here, for this process alone, and removed at its end.
    """
    os.setsid()
    process_tree.set_name(SPARE_NAME)
    process_tree.become_subreaper()
    inherit_bounds()
    workplace = Workplace(folder)
    # Ahead of the order, which need not wait for it; the start tells where it fails.
    with contextlib.suppress(OSError):
        workplace.make()
    starter = _Starter(
        GatewayLink(channel, gateway_pidfd), workplace, start_program, Wakeup(), OwnState()
    )
    try:
        starter.serve()
    finally:
        workplace.remove()


class _Starter:
    """Takes the orders of one supervisor."""

    def __init__(
        self,
        gateway: GatewayLink,
        workplace: Workplace,
        start_program: ProgramStarter,
        wakeup: Wakeup,
        own_state: OwnState,
    ) -> None:
        self._gateway = gateway
        self._workplace = workplace
        self._start_program = start_program
        self._wakeup = wakeup
        self._own_state = own_state
        self._base_environment: Mapping[str, str] = {}

    def serve(self) -> None:
        """Serve until the gateway wants no more, or this process is fit for no further script."""
        last: SeenEnd | None = None
        while (order := self._gateway.receive_order()) is not None:
            # The end before is on record, or no order would have followed it.
            last = None
            process_tree.set_name(SUPERVISOR_NAME)
            last = self._see_through(order)
            if last is None or not last.reusable:
                return
            process_tree.set_name(SPARE_NAME)
        if last is not None and self._gateway.lost and not self._gateway.moved_on:
            last.write()

    def _see_through(self, order: SupervisorOrder) -> SeenEnd | None:
        self._base_environment = order.get('base_environment', self._base_environment)
        patience_sec = order['timeout_sec']
        files: ExecutionFiles | None = None
        try:
            files = ExecutionFiles(order, self._workplace, self._base_environment)
            begun = self._start_program(
                files.program, lambda source: self._gateway.wait_readable(source, patience_sec)
            )
        except (OSError, ValueError) as error:
            # A program that was given up may have begun that moment, and have children already.
            left = end_all()
            if files is not None:
                files.remove_cgroup()
            self._workplace.remove()
            self._tell_of_failure(order, error, left)
            return None
        files.close_script_ends()
        supervisor = Supervisor(order, files, self._gateway, begun, self._wakeup)
        return supervisor.see_through(self._own_state)

    def _tell_of_failure(
        self, order: SupervisorOrder, error: Exception, left: list[ProcessNote]
    ) -> None:
        self._gateway.send(
            StartFailed(
                event='spawn_failed',
                message=_spawn_complaint(order, error),
                unkillable_processes=left,
            )
        )
        self._gateway.flush(REPORT_PATIENCE_SEC)


def _spawn_complaint(order: SupervisorOrder, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    subject = getattr(error, 'filename', None) or order['argv'][0]
    if isinstance(error, FileNotFoundError) and os.path.exists(subject):
        reason = 'the interpreter that its first line names does not exist'
    elif isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        reason = 'it is neither a program for this machine nor a script with a first line of #!'
    elif isinstance(error, OSError) and error.errno == errno.E2BIG:
        reason = 'its arguments and environment are larger than the system takes'
    if subject not in (order['argv'][0], order.get('script_file')):
        return f'{subject} could not be made: {reason}'
    return f'{subject} could not be executed: {reason}'
