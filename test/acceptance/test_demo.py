# SPDX-License-Identifier: Apache-2.0
"""The demo node, and the demo as `make run` starts it."""

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from ros_support import ended_at_exit
from std_msgs.msg import Float64

TEMPERATURE = '/powertrain/engine/temp_sensor/temperature'
READY_SEC = 60.0


def started(module: str, *args: str) -> 'subprocess.Popen[str]':
    """Start a module as a user does, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, '-m', module, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


@contextlib.contextmanager
def temperatures() -> Iterator['queue.SimpleQueue[float]']:
    """Subscribe to the demo node's topic; yield the queue that its values fill."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('thermometer', context=context)
    values: queue.SimpleQueue[float] = queue.SimpleQueue()
    node.create_subscription(Float64, TEMPERATURE, lambda message: values.put(message.data), 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield values
    finally:
        executor.shutdown()
        spinning.join()
        node.destroy_node()
        context.try_shutdown()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_demo_node_publishes_until_it_is_signalled(number: signal.Signals) -> None:
    """`/powertrain/engine/temp_sensor` tells temperatures, and ends with 0 and no word."""
    with (
        temperatures() as values,
        ended_at_exit(started('gateway_node.demo.temp_sensor')) as process,
    ):
        assert 80.0 < values.get(timeout=20) < 100.0
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, '')


def test_a_second_signal_does_not_disturb_the_end_of_the_demo_node() -> None:
    """Ctrl-C under `ros2 run`, which passes it on, is two of them."""
    with (
        temperatures() as values,
        ended_at_exit(started('gateway_node.demo.temp_sensor')) as process,
    ):
        values.get(timeout=20)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, '')


@contextlib.contextmanager
def demo(tmp_path: Path) -> Iterator[tuple['subprocess.Popen[str]', str]]:
    """Start the demo on a free port; yield it and what it said until it was ready."""
    port = free_port()
    process = started(
        'gateway_node.demo',
        '--ros-args',
        '-p',
        f'server.port:={port}',
        '-p',
        f'state_dir:={tmp_path}/state',
    )
    with ended_at_exit(process):
        yield process, told_until(process, 'Ctrl-C ends both.')


def told_until(process: 'subprocess.Popen[str]', last: str) -> str:
    """Return what `process` says up to the line `last`; the end of the process fails the test."""
    told = ''
    assert process.stdout is not None
    for line in process.stdout:
        told += line
        if line.strip() == last:
            return told
    pytest.fail(f'ended with {process.wait()} before it said {last!r}: {told}')


def children(pid: int) -> list[int]:
    """Return the pids of a process's children (man 5 proc)."""
    return [int(child) for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def commands(told: str) -> str:
    """Return the commands among what the demo said, as a shell would take them."""
    return '\n'.join(
        line
        for line in told.split('Try, in another', 1)[1].splitlines()[1:]
        if not re.match(r'\d\. |Ctrl-C', line)
    )


@pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')
def test_the_demo_tells_commands_that_work_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Its three commands find the app, upload a script and execute it; Ctrl-C ends both."""
    with demo(tmp_path) as (process, told):
        both = children(process.pid)
        assert len(both) == 2
        shell = ['bash', '-euo', 'pipefail', '-c', commands(told)]
        output = subprocess.run(shell, stdout=subprocess.PIPE, text=True, timeout=30, check=True)
        apps, execution = values_in(output.stdout)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert 'temp_sensor' in [app['id'] for app in apps['items']]
    assert execution['status'] == 'completed'
    assert execution['parameters'] == {'healthy': True}
    assert process.returncode == 0
    assert 'Traceback' not in rest
    assert not any(Path(f'/proc/{pid}').exists() for pid in both)


def values_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON values that stand in `text` one after the other."""
    values, decoder = [], json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].lstrip()
    return values


def test_the_demo_ends_with_the_whole_group_signalled(tmp_path: Path) -> None:
    """Where somebody signals the children as well, it is the same clean end."""
    with demo(tmp_path) as (process, _):
        for pid in (*children(process.pid), process.pid):
            os.kill(pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_demo_says_so_where_a_child_ends_early(tmp_path: Path) -> None:
    """One process gone: the other is ended, and the status tells of the failure."""
    with demo(tmp_path) as (process, _):
        both = children(process.pid)
        os.kill(both[0], signal.SIGKILL)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert 'demo: the demo node ended with status -9' in output
    assert not any(Path(f'/proc/{pid}').exists() for pid in both)


def test_the_demo_says_so_where_its_address_is_served_already(tmp_path: Path) -> None:
    """It does not take another gateway's answer for its own gateway's."""
    with demo(tmp_path) as (_, told):
        base = re.search(r'http://(127\.0\.0\.1:\d+)', told)
        assert base is not None
        port = base[1].split(':')[1]
        second = started('gateway_node.demo', '--ros-args', '-p', f'server.port:={port}')
        with ended_at_exit(second):
            output, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    assert 'is served already' in output
    assert 'gateway_node.demo --ros-args -p server.port:=18080' in output
    assert 'Ctrl-C ends both.' not in output


def test_the_demo_does_not_hide_why_the_gateway_refuses(tmp_path: Path) -> None:
    """A bad parameter is the gateway's line, and the demo ends with 1."""
    begun = time.monotonic()
    process = started('gateway_node.demo', '--ros-args', '-p', 'server.port:=70000')
    with ended_at_exit(process):
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert 'parameter server.port is 70000' in output
    assert 'demo: the gateway ended with status 78' in output
    assert time.monotonic() - begun < 30
