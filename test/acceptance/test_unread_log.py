# SPDX-License-Identifier: Apache-2.0
"""A gateway whose log nobody reads."""

import contextlib
import os
from pathlib import Path
import signal
import socket
import subprocess
import time

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
from gateway_process import BASE, entry_point, GatewayProcess, nothing_left

END_SEC = 30.0


def full_pipe() -> tuple[int, int]:
    """Make a pipe without room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b'.' * 512)
    os.set_blocking(writing, True)
    return reading, writing


def is_served(port: int) -> bool:
    """Tell whether somebody takes connections."""
    with socket.socket() as client:
        return client.connect_ex(('127.0.0.1', port)) == 0


def test_a_log_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    """It starts, answers, runs scripts and ends with status 0, whoever writes to its stderr."""
    port = free_port()
    reading, writing = full_pipe()
    command = entry_point(
        tmp_path / 'state', {'server.port': port}, '--log-level', 'gateway_node:=debug'
    )
    with nothing_left(), contextlib.ExitStack() as undo:
        process = undo.enter_context(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        )
        undo.callback(process.kill)
        wait_for(lambda: is_served(port), bool, what='the gateway serves')
        api = GatewayProcess(process, tmp_path / 'none', f'http://127.0.0.1:{port}{BASE}')
        host = api.body('/components')['items'][0]['id']
        script_id = api.upload(f'components/{host}', 'exit 0\n')
        href = api.start(f'components/{host}', script_id)
        api.wait_for_status(href, 'completed')
        assert api.body('/health')['status'] == 'ok'
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(DEADLINE_SEC) == 0
        assert time.monotonic() - begun < END_SEC
    os.close(reading)
    os.close(writing)
