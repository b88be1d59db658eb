# SPDX-License-Identifier: Apache-2.0
"""A supervisor's first part: it waits for its order, and starts the script."""

from collections.abc import Callable
import errno
import os
import socket

from gateway_node.child import process_tree
from gateway_node.child.contract import SPARE_NAME, SUPERVISOR_NAME
from gateway_node.child.killing import end_all
from gateway_node.child.messages import StartFailed, SupervisorOrder
from gateway_node.child.supervision.execution_files import ExecutionFiles
from gateway_node.child.supervision.gateway_link import GatewayLink
from gateway_node.child.supervision.program import inherit_bounds, Program
from gateway_node.child.supervision.supervisor import REPORT_PATIENCE_SEC, Supervisor

ProgramStarter = Callable[[Program, Callable[[int], None]], int]


def supervise(channel: socket.socket, gateway_pidfd: int, start_program: ProgramStarter) -> None:
    """Take an order from the channel and see it through to its end.

    `start_program` makes the script's process, however it likes; it waits with the
    function that it is given. Where it raises, what it began is ended here.
    """
    os.setsid()
    process_tree.set_name(SPARE_NAME)
    process_tree.become_subreaper()
    inherit_bounds()
    gateway = GatewayLink(channel, gateway_pidfd)
    order = gateway.receive_order()
    if order is None:
        return
    process_tree.set_name(SUPERVISOR_NAME)
    files: ExecutionFiles | None = None
    try:
        files = ExecutionFiles(order)
        patience_sec = order['timeout_sec']
        pid = start_program(
            files.program, lambda source: gateway.wait_readable(source, patience_sec)
        )
    except (OSError, ValueError) as error:
        # A program that was given up may have begun that very moment, and have children already.
        left = end_all()
        if files is not None:
            files.remove_leavings()
        gateway.send(
            StartFailed(
                event='spawn_failed',
                message=_spawn_complaint(order, error),
                unkillable_processes=left,
            )
        )
        gateway.flush(REPORT_PATIENCE_SEC)
        return
    files.close_script_ends()
    Supervisor(order, files, gateway, pid).see_through()


def _spawn_complaint(order: SupervisorOrder, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    subject = getattr(error, 'filename', None) or order['argv'][0]
    if isinstance(error, FileNotFoundError) and os.path.exists(subject):
        reason = 'the interpreter that its first line names does not exist'
    elif isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        reason = 'it is neither a program for this machine nor a script with a first line of #!'
    elif isinstance(error, OSError) and error.errno == errno.E2BIG:
        reason = 'its arguments and environment are larger than the system takes'
    return f'{subject} could not be executed: {reason}'
