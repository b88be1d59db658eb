# SPDX-License-Identifier: Apache-2.0
"""Executes the console blocks of the README against the demo, as a reader would.

In a block fenced as `console` the lines that begin with `$ ` are commands, the others are what the
command before them prints: where that is JSON, the real answer must have the same fields.
"""

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
from gateway_process import nothing_left, started

ROOT = Path(__file__).parents[2]
DEFAULT_PORT = '8080'
MARK = '--- end of output ---'


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command of the README, and what it is said to print."""

    command: str
    output: str


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Go through the fenced blocks of a page: language and content."""
    for fence in re.finditer(r'^```(\w*)\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        yield fence[1], fence[2]


def console_steps(text: str) -> list[Step]:
    """Return the commands of all console blocks, in order."""
    steps: list[Step] = []
    for language, block in blocks(text):
        if language != 'console':
            continue
        assert block.startswith('$ '), f'a console block begins with a command: {block}'
        for part in re.split(r'^\$ ', block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition('\n')
            steps.append(Step(command=command, output=output.strip()))
    return steps


def other_commands(text: str) -> set[str]:
    """Return the first word of every line in the other blocks."""
    lines = [
        line
        for language, block in blocks(text)
        if language != 'console'
        for line in block.splitlines()
    ]
    return {line.split()[0] for line in lines if line.strip()}


def fields(value: Any) -> Any:
    """Return the shape of a JSON value: its fields, without what is in them."""
    if isinstance(value, dict):
        return {name: fields(each) for name, each in value.items()}
    if isinstance(value, list):
        return [fields(each) for each in value[:1]]
    return type(value).__name__


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[str]:
    """Start what `make run` starts, on a free port; yield the port."""
    port = str(free_port())
    command = [sys.executable, '-m', 'gateway_node.demo', '--ros-args']
    command += ['-p', f'server.port:={port}', '-p', f'state_dir:={folder}/state']
    with nothing_left(), started(command, folder) as (process, log):
        wait_for(
            log.read_text,
            lambda told: 'Ctrl-C ends both.' in told or process.poll() is not None,
            what='the demo is ready',
        )
        assert process.poll() is None, log.read_text()
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()


def execute(steps: list[Step], port: str, folder: Path) -> list[str]:
    """Execute all commands in one shell; return what each printed."""
    script = '\n'.join(f"{step.command}\nprintf '\\n%s\\n' '{MARK}'" for step in steps)
    # Port 8080 may be somebody else's here; the reader's words are otherwise left alone.
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', script.replace(f':{DEFAULT_PORT}', f':{port}')],
        cwd=folder,
        env={**os.environ, 'no_proxy': '127.0.0.1'},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done
    return [output.strip() for output in done.stdout.split(MARK)[:-1]]


@pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    """Every command succeeds, and prints what the README says that it prints."""
    steps = console_steps((ROOT / 'README.md').read_text(encoding='utf-8'))
    assert steps
    folder = tmp_path / 'reader'
    folder.mkdir()
    with demo(tmp_path) as port:
        outputs = execute(steps, port, folder)
        assert len(outputs) == len(steps)
        for step, output in zip(steps, outputs, strict=True):
            if output.startswith('{'):
                assert 'error_code' not in json.loads(output), (step, output)
            if step.output:
                assert fields(json.loads(output)) == fields(json.loads(step.output)), step
    [whole] = (json.loads(told) for told in outputs if '"celsius"' in told)
    assert whole['parameters'] == {'celsius': 71.5, 'depth': 3}
    assert json.loads(outputs[-1])['status'] == 'terminated'


def test_what_is_no_console_block_needs_more_than_a_shell() -> None:
    """Commands that are not executed here are the ones of other tests, or of a sourced ROS."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    assert other_commands(text) <= {'make', 'ros2', 'rosdep', 'colcon', 'source'}


def test_console_blocks_are_read_as_commands_and_outputs() -> None:
    """The reader of the README itself finds commands, their outputs, and nothing else."""
    text = 'a\n```console\n$ ls\nb\nc\n$ cd /\n```\n\n```sh\nrm x\n```\n```console\n$ true\n```\n'
    assert console_steps(text) == [
        Step(command='ls', output='b\nc'),
        Step(command='cd /', output=''),
        Step(command='true', output=''),
    ]
    assert fields({'a': [1, 2], 'b': {'c': 'x'}}) == {'a': ['int'], 'b': {'c': 'str'}}
