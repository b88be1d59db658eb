# SPDX-License-Identifier: Apache-2.0
"""Runs a launch fragment as a diagnostic sequence, through launch's own API.

The program of a process of its own: `describe <fragment>` tells which arguments the fragment
declares, `execute <fragment>` runs it with the parameters on stdin as launch arguments. Only
here is `launch` imported, and only where this is the program.
"""

import logging
import os
import signal
import sys
import tempfile
import time
from typing import Any

from gateway_node.child.contract import DESCRIBE, launch_arguments
from gateway_node.child.script.fragment_arguments import describe
from gateway_node.child.script.script_api import parameters, progress, result

TEMPORARY_DIRECTORY = '.tmp'
"""In the working directory."""


class Sequence:
    """The processes that a fragment started, and how they ended."""

    def __init__(self) -> None:
        self._started: dict[int, float] = {}
        self._processes: dict[int, dict[str, Any]] = {}
        self._ended = 0
        self._wanted: dict[str, list[str]] = {}
        self._asked_to_end: set[int] = set()
        self.shutting_down = False
        """True once launch shuts down: then every process has been asked to end.

        By the fragment, or by a SIGINT, which reaches the processes without launch's doing.
        """

    def note_start(self, name: str, command: list[str], pid: int) -> None:
        """Take a process that has begun."""
        self._started[pid] = time.monotonic()
        self._processes[pid] = {
            'name': name,
            'command': command,
            'pid': pid,
            'exit_code': None,
            'duration_sec': None,
            'failed': False,
        }
        self._tell()

    def note_exit(self, pid: int, exit_code: int) -> None:
        """Take a process that has ended; negative codes are signals."""
        process = self._processes[pid]
        process['exit_code'] = exit_code
        process['duration_sec'] = round(time.monotonic() - self._started[pid], 3)
        asked = self.shutting_down or pid in self._asked_to_end
        as_asked = asked and not _was_killed_or_crashed(exit_code)
        process['failed'] = exit_code != 0 and not as_asked
        self._ended += 1
        self._tell()

    def note_asked_to_end(self, pid: int) -> None:
        """Take that the fragment has launch end a process, by SIGINT or SIGTERM.

        How it then ends is no failure, unless it has to be killed, or crashes.
        """
        self._asked_to_end.add(pid)

    def note_finish(self, name: str, command: list[str]) -> None:
        """Take a process that launch has finished with, whether it began or not."""
        if not self.shutting_down:
            self._wanted[name] = command

    def conclude(self) -> None:
        """Count as failed what never began; launch only logs a program that does not exist."""
        begun = {process['name'] for process in self._processes.values()}
        for number, (name, command) in enumerate(self._wanted.items()):
            if name not in begun:
                self._processes[-1 - number] = {
                    'name': name,
                    'command': command,
                    'pid': None,
                    'exit_code': None,
                    'duration_sec': None,
                    'failed': True,
                }

    @property
    def result(self) -> dict[str, Any]:
        """What the execution gives as its result."""
        return {
            'processes': [
                {key: value for key, value in process.items() if key != 'failed'}
                for process in self._processes.values()
            ]
        }

    @property
    def failures(self) -> list[str]:
        """A few words for each process that failed."""
        return [
            f'{process["name"]} (could not be started)'
            if process['pid'] is None
            else f'{process["name"]} (exit code {process["exit_code"]})'
            for process in self._processes.values()
            if process['failed']
        ]

    def _tell(self) -> None:
        started = len(self._processes)
        progress(100 * self._ended / started, f'{self._ended} of {started} processes have ended')


def _was_killed_or_crashed(exit_code: int) -> bool:
    """Tell whether a signal ended it that does not ask to end; shells say it as 128 and more."""
    died_of = -exit_code if exit_code < 0 else exit_code - 128
    return died_of in signal.valid_signals() - {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Do what argv asks for."""
    use, fragment = sys.argv[1:3]
    _keep_temporary_files()
    if use == DESCRIBE:
        result(describe(fragment))
    else:
        sys.exit(execute(fragment))


def _keep_temporary_files() -> None:
    """Have this process make its temporary files where they go with the working directory.

    launch_ros writes the parameters of each node to one, and removes none. For what launch starts
    nothing changes: a socket's path below a long TMPDIR could be too long (man 7 unix).
    """
    if 'TMPDIR' not in os.environ:
        tempfile.tempdir = os.path.abspath(TEMPORARY_DIRECTORY)
        os.makedirs(tempfile.tempdir, exist_ok=True)


def _watch_actions(sequence: Sequence) -> None:
    """Have the sequence hear of each process that launch was asked for.

    There is no event for one that cannot be started.
    """
    from launch.actions import ExecuteLocal

    execute_action = ExecuteLocal.execute

    def watched(action: Any, context: Any) -> Any:
        entities = execute_action(action, context)
        finished = action.get_asyncio_future()
        if finished is not None:
            asked = action.process_details
            finished.add_done_callback(
                lambda _: sequence.note_finish(asked['name'], list(asked['cmd']))
            )
        return entities

    ExecuteLocal.execute = watched


def _event_handlers(sequence: Sequence) -> list[Any]:
    """Return the actions by which the sequence hears of what launch does."""
    from launch.actions import OpaqueFunction, RegisterEventHandler
    from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
    from launch.events.process import SignalProcess

    from launch import EventHandler

    living: dict[int, Any] = {}

    def on_start(event: Any, _: Any) -> None:
        living[event.pid] = event.action
        sequence.note_start(event.process_name, list(event.cmd), event.pid)

    def on_exit(event: Any, context: Any) -> None:
        del living[event.pid]
        # Who is fast has ended before the event of the shutdown has its turn.
        sequence.shutting_down |= context.is_shutdown
        sequence.note_exit(event.pid, event.returncode)

    def on_shutdown(event: Any, _: Any) -> None:
        sequence.shutting_down = True

    def on_signal(context: Any) -> None:
        event = context.locals.event
        if event.signal_name in ('SIGINT', 'SIGTERM'):
            for pid, action in living.items():
                if event.process_matcher(action):
                    sequence.note_asked_to_end(pid)

    signalled = EventHandler(
        matcher=lambda event: isinstance(event, SignalProcess),
        entities=[OpaqueFunction(function=on_signal)],
    )
    return [
        RegisterEventHandler(OnProcessStart(on_start=on_start)),
        RegisterEventHandler(OnProcessExit(on_exit=on_exit)),
        RegisterEventHandler(OnShutdown(on_shutdown=on_shutdown)),
        RegisterEventHandler(signalled),
    ]


def _tell_errors() -> None:
    """Write what makes launch itself fail to stderr, where an execution's error looks for it."""
    errors = logging.StreamHandler()
    errors.setLevel(logging.ERROR)
    logging.getLogger('launch').addHandler(errors)


def execute(fragment: str) -> int:
    """Run the fragment to its end; return the exit code."""
    # What its processes say is the execution's output; by default launch only logs it to a file.
    os.environ.setdefault('OVERRIDE_LAUNCH_PROCESS_OUTPUT', 'screen')
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    from launch import LaunchDescription, LaunchService

    _tell_errors()
    sequence = Sequence()
    _watch_actions(sequence)
    description = LaunchDescription(
        [
            *_event_handlers(sequence),
            IncludeLaunchDescription(
                AnyLaunchDescriptionSource(fragment),
                launch_arguments=launch_arguments(parameters()),
            ),
        ]
    )
    service = LaunchService(argv=[])
    service.include_launch_description(description)
    code = service.run()
    sequence.conclude()
    result(sequence.result)
    if sequence.failures:
        sys.stderr.write(f'processes failed: {", ".join(sequence.failures)}\n')
        return 1
    return int(code)


if __name__ == '__main__':
    main()
