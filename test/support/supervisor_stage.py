# SPDX-License-Identifier: Apache-2.0
"""One real supervisor, driven as a gateway drives it: an order, its end, the next order."""

from collections.abc import Iterator
import contextlib
import itertools
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
from typing import Any

from gateway_node.child.messages import Dismissal, EndWish
from gateway_node.child.wire import encode, MessageBuffer
from gateway_node.process.limits import artifact_bounds

PROGRAM = Path(__file__).parent.parent / 'runner_programs' / 'kept_supervisor.py'
DEADLINE_SEC = 45.0
FOLDER_VARIABLES = {
    'GATEWAY_ARTIFACTS': 'artifacts',
    'GATEWAY_RESULT': 'given_result.json',
    'GATEWAY_PROGRESS': 'progress',
}
_BOUNDS = ('cpu_sec', 'memory_mb', 'processes', 'open_files', 'file_size_mb', 'output_mb')


class KeptSupervisor:
    """A supervisor that waits for orders; this process is its gateway."""

    def __init__(self, state: Path) -> None:
        """`state` is a directory for its folder and those of its executions."""
        self.folder = state / 'own'
        self.working_directory = self.folder / 'work'
        self._state = state
        self._numbers = itertools.count(1)
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(DEADLINE_SEC)
        self._incoming = MessageBuffer()
        self._messages: list[Any] = []
        with theirs:
            argv = [sys.executable, str(PROGRAM), str(theirs.fileno()), str(self.folder)]
            self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], cwd='/')

    def order(self, script: str, **changes: Any) -> Path:
        """Give it the order to run a shell script; return the execution's directory."""
        execution_id = f'exec_{next(self._numbers):04}'
        order = {
            'execution_id': execution_id,
            'directory': str(self._state / execution_id),
            'argv': ['/bin/sh', '-c', script],
            'environment': {'PATH': os.environ['PATH']},
            'folder_variables': FOLDER_VARIABLES,
            'stdin': '{}\n',
            'timeout_sec': 60.0,
            'grace_sec': 5.0,
            'stop_signal': int(signal.SIGTERM),
            'limits': dict.fromkeys(_BOUNDS),
            'keep_working_directory': False,
            'artifacts': artifact_bounds(),
            **changes,
        }
        self.channel.sendall(encode(order))
        return Path(order['directory'])

    def wish(self, end: EndWish) -> None:
        """Ask for an end."""
        self.channel.sendall(encode(end))

    def hear(self, event: str) -> dict[str, Any]:
        """Return its next message of this kind; what comes before it is passed over."""
        return self.hear_all(event)[-1]

    def hear_all(self, event: str) -> list[dict[str, Any]]:
        """Return its messages up to the next one of this kind."""
        heard: list[dict[str, Any]] = []
        while True:
            while self._messages:
                heard.append(self._messages.pop(0))
                if heard[-1]['event'] == event:
                    return heard
            chunk = self.channel.recv(65536)
            assert chunk, f'it is gone, and has not said: {event}'
            self._messages += self._incoming.feed(chunk)

    def run(self, script: str, **changes: Any) -> dict[str, Any]:
        """Have it run a shell script to its end; return its report."""
        self.order(script, **changes)
        return self.hear('ended')

    def wait(self) -> None:
        """Wait until it has ended, as it does when it is fit for no further script."""
        assert self.process.wait(DEADLINE_SEC) == 0

    def lose_gateway(self) -> None:
        """Close its channel without a word, as the end of the gateway does, and wait for it."""
        self.channel.close()
        self.wait()

    def dismiss(self) -> None:
        """Let it go, all ends being on record, and wait for it."""
        self.channel.sendall(encode(Dismissal(dismissed=True)))
        self.wait()


@contextlib.contextmanager
def kept_supervisor(state: Path) -> Iterator[KeptSupervisor]:
    """Give a supervisor, and end it."""
    supervisor = KeptSupervisor(state)
    try:
        yield supervisor
    finally:
        supervisor.process.kill()
        supervisor.process.wait()
        supervisor.channel.close()


def end_file(directory: Path) -> dict[str, Any]:
    """Return the end that was written down in an execution's directory."""
    report: dict[str, Any] = json.loads((directory / 'end.json').read_text())
    return report
