# SPDX-License-Identifier: Apache-2.0
"""For tests with a real graph: nodes in processes of their own, subscribers, and waiting."""

from collections.abc import Iterator, Sequence
import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
from typing import Any

from waiting import DEADLINE_SEC

PROGRAMS = Path(__file__).parents[1] / 'ros_programs'
NO_SHARED_MEMORY = Path(__file__).parents[2] / 'config' / 'no_shared_memory.xml'
PROFILES = (
    f'FAST{"RTPS" if os.environ.get("ROS_DISTRO") == "jazzy" else "DDS"}_DEFAULT_PROFILES_FILE'
)
"""What names Fast DDS's profiles; Kilted warns where the name of Jazzy is set."""


@contextlib.contextmanager
def ended_at_exit(process: 'subprocess.Popen[str]') -> Iterator['subprocess.Popen[str]']:
    """Yield `process`; afterwards it is gone, however it behaves."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                # Whoever is killed stays in the graph for some 20 s, as an app of the next test.
                process.wait(DEADLINE_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def bare_node(
    name: str, namespace: str = '/', *, parent: Sequence[str] = ()
) -> Iterator['subprocess.Popen[str]']:
    """Run a node in a process of its own for a while; it is in the graph when this yields.

    `parent` is the beginning of a command that becomes what follows in it.
    """
    program = python_program(PROGRAMS / 'bare_node.py', [name, namespace], parent=parent)
    with ended_at_exit(program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'ready\n'
        yield process


@contextlib.contextmanager
def status_echo(topic: str) -> Iterator[list[dict[str, Any]]]:
    """Subscribe to a status topic in a process of its own; yield the list that its messages fill.

    Each is what `ros_programs/status_echo.py` prints.
    """
    received: list[dict[str, Any]] = []
    process = python_program(PROGRAMS / 'status_echo.py', [topic])
    lines = process.stdout
    assert lines is not None

    def read_each() -> None:
        received.extend(json.loads(line) for line in lines)

    assert lines.readline() == 'ready\n'
    reader = threading.Thread(target=read_each)
    reader.start()
    try:
        yield received
    finally:
        process.terminate()
        process.wait(DEADLINE_SEC)
        reader.join(DEADLINE_SEC)
        lines.close()


def python_program(
    program: Path, args: Sequence[str] = (), *, parent: Sequence[str] = ()
) -> 'subprocess.Popen[str]':
    """Start a Python program in a process group of its own, its output in a pipe."""
    return subprocess.Popen(
        [*parent, sys.executable, str(program), *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
