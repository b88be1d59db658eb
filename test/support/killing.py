# SPDX-License-Identifier: Apache-2.0
"""Killing gateways in acceptance tests, and what that leaves in /dev/shm."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import signal
from typing import Any

from gateway_process import GatewayProcess
from helper_processes import HELPERS, SPAWNER, SUPERVISOR

from gateway_node.child.process_tree import descendants

ENTITY = 'apps/temp_sensor'

_SHARED_MEMORY = Path('/dev/shm')
_SEGMENT = re.compile(r'/dev/shm/(fastdds_\w+)')


def start_ready(api: GatewayProcess, content: str, **fields: Any) -> str:
    """Start a script on the sensor and wait until it says `ready`; return the execution's href."""
    api.wait_for_app('temp_sensor')
    href = api.start(ENTITY, api.upload(ENTITY, content), **fields)
    api.wait_for(
        href,
        lambda body: body['status'] == 'running' and 'ready' in body['output']['stdout'],
        what='the script is ready',
    )
    return href


def kill(api: GatewayProcess) -> None:
    """SIGKILL the gateway alone."""
    with shared_memory_removed(api.process.pid):
        api.signal(signal.SIGKILL)
        assert api.wait_ended() == -signal.SIGKILL


def kill_with_helpers(api: GatewayProcess) -> None:
    """SIGKILL the gateway, its spawner and its supervisors, before one can act for another."""
    api.signal(signal.SIGSTOP)
    helpers = [each for each in descendants(api.process.pid) if each.name in HELPERS]
    assert {SPAWNER, SUPERVISOR} <= {each.name for each in helpers}
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in helpers:
            os.kill(each.pid, number)
    kill(api)


@contextlib.contextmanager
def shared_memory_removed(*pids: int) -> Iterator[None]:
    """Let processes be killed; what Fast DDS then leaves of theirs in /dev/shm is removed."""
    names = {name for pid in pids for name in _mapped(pid)}
    yield
    in_use = {
        name
        for pid in (int(each) for each in os.listdir('/proc') if each.isdecimal())
        for name in _mapped(pid)
    }
    for name in names - in_use:
        for file in (name, f'{name}_el', f'sem.{name}_mutex'):
            (_SHARED_MEMORY / file).unlink(missing_ok=True)


def _mapped(pid: int) -> list[str]:
    try:
        return _SEGMENT.findall(Path(f'/proc/{pid}/maps').read_text(errors='replace'))
    except OSError:
        return []
