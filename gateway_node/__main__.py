# SPDX-License-Identifier: Apache-2.0
"""The entry point: puts the process in order, and lets Ctrl-C end it while it imports the rest."""

from __future__ import annotations

import gc
import signal
import sys

from gateway_node import inspection
from gateway_node.before_start import answer_to, MISCONFIGURED, StartRefused, too_old
from gateway_node.init import stand_above
from gateway_node.surroundings import has_terminal, put_in_order
from gateway_node.unneeded_imports import nobody_trusted, without_unneeded_imports

NO_THREAD = "can't start new thread"
"""What Python's RuntimeError says where the kernel gives none."""


def main() -> None:
    """Serve, as `gateway_node.main.main` does; or answer `--help` and `--version`."""
    try:
        _start()
        return
    except StartRefused as error:
        refusal = str(error)
    # Only now: what ROS's objects say when they go stands above the line.
    sys.stderr.write(f'gateway_node: {refusal}\n')
    sys.exit(MISCONFIGURED)


def _start() -> None:
    put_in_order()
    answer = answer_to(sys.argv[1:])
    if answer is not None:
        sys.stdout.write(answer)
        return
    for complaint in too_old():
        raise StartRefused(complaint)
    ends_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    stand_above()
    inspection.forbid()
    # Python's own KeyboardInterrupt can come up in a callback of the import system, and is lost
    # there. The default action ends the process until `EndSignals` takes over.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # All that is made from here on stays: looking for garbage in it is a tenth of the start.
    # `main` has the collector go on.
    gc.disable()
    without_unneeded_imports()
    try:
        with nobody_trusted():
            from gateway_node.main import main as serve
    except ImportError as error:
        told = ' '.join(str(error).split())
        raise StartRefused(
            f'{told}; source the set-up file of the ROS distribution, and see that the '
            'dependencies are installed'
        ) from error
    try:
        serve(ends_with_terminal=ends_with_terminal)
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        sys.exit(
            f'gateway_node: {error}: the user or the service has too many; ulimit -u, TasksMax='
        )


if __name__ == '__main__':
    main()
