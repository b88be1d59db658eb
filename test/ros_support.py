"""For tests with a real graph: nodes in processes of their own, subscribers, and waiting."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

NODE_PROGRAM = Path(__file__).parent / 'ros_programs' / 'bare_node.py'
DEADLINE_SEC = 20.0


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """Give this process and its children a ROS domain of their own; return its number."""
    # 1 to 101 do not collide with ephemeral ports on Linux (ROS 2 docs, "The ROS_DOMAIN_ID").
    domain = 1 + os.getpid() % 101
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    return domain


async def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    """Return once `condition` holds; fail the test past the deadline."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f'not within {DEADLINE_SEC:g} s: {what}')
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def ended_at_exit(process: 'subprocess.Popen[str]') -> Iterator['subprocess.Popen[str]']:
    """Yield `process`; afterwards it is gone, however it behaves."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


@contextlib.contextmanager
def bare_node(name: str, namespace: str = '/') -> Iterator['subprocess.Popen[str]']:
    """Run a node in a process of its own for a while; it is in the graph when this yields."""
    with ended_at_exit(python_program(NODE_PROGRAM, [name, namespace])) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'ready\n'
        yield process


def python_program(program: Path, args: Sequence[str] = ()) -> 'subprocess.Popen[str]':
    """Start a Python program with this interpreter, its output in pipes."""
    return subprocess.Popen(
        [sys.executable, str(program), *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
