# SPDX-License-Identifier: Apache-2.0
"""Makes the process of a script by a fork of the interpreter that has its modules loaded."""

from collections.abc import Callable, Mapping
import contextlib
import os
from typing import NoReturn

from gateway_node import inspection
from gateway_node.child import process_tree
from gateway_node.child.contract import EXECUTION_ID_VARIABLE
from gateway_node.child.supervision.program import Begun, fork, Program, replace_with
from gateway_node.child.warm.exit import WarmExit
from gateway_node.child.warm.main_module import can_be_warm, CommandLine, reset_interpreter, run
from gateway_node.child.warm.shown_process import ShownProcess

_FIRST_OTHER_DESCRIPTOR = 4
_MAX_NAME = 15


class WarmScripts:
    """Starts scripts in forks of this process, which is a supervisor by then."""

    def __init__(
        self,
        shown: ShownProcess,
        warm_exit: WarmExit,
        set_at_the_start: Mapping[str, str],
    ) -> None:
        """`set_at_the_start` are variables that Python and its site set as they begin."""
        self._set_at_the_start = set_at_the_start
        self._shown = shown
        self._exit = warm_exit

    def start(self, program: Program, await_readable: Callable[[int], None]) -> Begun:
        """Start the program, `python3 [-P] file argument…`; executed where it cannot be warm.

        Raises:
            OSError: it could not be started; what was given up may still live.
        """
        command = CommandLine(program.argv)
        cold = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

        def begin(complaint: int) -> NoReturn:
            # Found out in the script's process, which can be given up.
            if not can_be_warm(command):
                os.eventfd_write(cold, 1)
                replace_with(program)
            self._become(command, program, complaint)

        try:
            shared_bytes = _own_anonymous_bytes()
            pid = fork(program, await_readable, begin)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(cold)
                shared_bytes = 0
        finally:
            os.close(cold)
        return Begun(pid=pid, shared_bytes=shared_bytes)

    def _become(self, command: CommandLine, program: Program, complaint: int) -> NoReturn:
        """Run the script in this process, which is prepared, and closes what is not the script's;
        `complaint` says by its end that nothing went wrong."""
        self._exit.take_over()
        self._shown.show_command(command.whole)
        self._shown.show_mark(program.environment[EXECUTION_ID_VARIABLE])
        process_tree.set_name(os.path.basename(command.whole[0])[:_MAX_NAME])
        reset_interpreter(command, {**program.environment, **self._set_at_the_start})
        for descriptor in map(int, os.listdir('/proc/self/fd')):
            if descriptor >= _FIRST_OTHER_DESCRIPTOR and descriptor != complaint:
                with contextlib.suppress(OSError):
                    # That of the listing itself is closed already.
                    os.close(descriptor)
        # As an exec would: what of the supervisor is left in its memory is of this script alone.
        inspection.allow()
        os.close(complaint)
        run(command, self._exit)


def _own_anonymous_bytes() -> int:
    """Return the memory of this process that is of no file: a fork has all of it at first."""
    with open('/proc/self/statm', 'rb') as file:
        _, resident, of_files, *_ = map(int, file.read().split())
    return (resident - of_files) * os.sysconf('SC_PAGE_SIZE')
