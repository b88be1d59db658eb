# SPDX-License-Identifier: Apache-2.0
"""Processes that a script starts as another user, and that the gateway may not end."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import signal
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from foreign_processes import (
    AS_OTHER,
    skip_where_users_cannot_change,
    user,
    WITHOUT_CGROUPS,
    WITHOUT_KILL,
)
from gateway_process import entry_point, GatewayProcess, nothing_left, started

SLEEPS = f"{AS_OTHER} sh -c 'echo up; exec sleep 602' & wait\n"
LOSES_SUPERVISOR = f"{AS_OTHER} sh -c 'echo; exec sleep 601' | {{ read up; kill -9 $PPID; }}\n"
PARAMETERS = {'scripts.stop_grace_period_sec': 0.2}


@contextlib.contextmanager
def gateway_without_kill(folder: Path) -> Iterator[GatewayProcess]:
    """Start a gateway that may signal its own user's processes only; end it."""
    command = [*WITHOUT_CGROUPS, *WITHOUT_KILL, *entry_point(folder / 'state', PARAMETERS)]
    with started(command, folder) as (process, log):
        serving = wait_for(
            lambda: re.search(r'serving (http://[^\s,]+)', log.read_text(encoding='utf-8')),
            lambda found: found is not None or process.poll() is not None,
            what='the gateway serves',
        )
        assert serving is not None, log.read_text()
        yield GatewayProcess(process, log, serving.group(1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()


def host_of(api: GatewayProcess) -> str:
    """Return the component that needs no node."""
    return f'components/{api.body("/components")["items"][0]["id"]}'


def assert_named(execution: Any, *commands: str) -> list[int]:
    """Check what an execution says of what it left; return the pids."""
    left = execution['unkillable_processes']
    assert [(p['user'], p['command']) for p in left] == [(user(), c) for c in commands]
    assert 'not permitted' in ' '.join(execution['warnings'])
    return [int(process['pid']) for process in left]


def test_what_may_not_be_ended_is_named_and_holds_its_script(tmp_path: Path) -> None:
    """However its execution ends, and over a restart of the gateway, until it has ended."""
    skip_where_users_cannot_change()
    left: list[int] = []
    with nothing_left():
        with gateway_without_kill(tmp_path) as api:
            host = host_of(api)
            lost = api.start(host, api.upload(host, LOSES_SUPERVISOR))
            single = api.upload(host, SLEEPS, single_execution=True)
            stopped = api.start(host, single)
            api.wait_for(stopped, lambda body: body['output']['stdout'] == 'up\n', what='it is up')
            api.request('PUT', stopped, json_body={'action': 'stop'})
            left += assert_named(api.wait_for_status(stopped, 'terminated'), 'sleep 602')
            ended = api.wait_for_status(lost, 'failed')
            left += assert_named(ended, 'sleep 601')
            assert ended['error']['vendor_code'] == 'x-gateway-supervisor-lost'
            assert 'not permitted' in ended['error']['message']
            executions = f'/{host}/scripts/{single}/executions'
            refused = api.request('POST', executions, json_body={'execution_type': 'now'})
            assert refused.status == 409
            assert 'sleep 602' in refused.body['message']
        with gateway_without_kill(tmp_path) as again:
            refused = again.request('POST', executions, json_body={'execution_type': 'now'})
            assert refused.status == 409, refused
            assert str(left[0]) in refused.body['message']
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            taken = wait_for(
                lambda: again.request('POST', executions, json_body={'execution_type': 'now'}),
                lambda answer: answer.status == 202,
                what='the script is free',
            )
            href = taken.body['href']
            again.wait_for(href, lambda body: body['output']['stdout'] == 'up\n', what='it is up')
            again.request('PUT', href, json_body={'action': 'forced_termination'})
            (pid,) = assert_named(again.wait_for_status(href, 'terminated'), 'sleep 602')
            os.kill(pid, signal.SIGKILL)
