# SPDX-License-Identifier: Apache-2.0
"""Nodes that offer a test of themselves, and the script that their apps have for it."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import subprocess
import sys

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from ros_support import bare_node, ended_at_exit, PROGRAMS

SCRIPT = 'self_test'


@contextlib.contextmanager
def self_testing_node(name: str) -> Iterator['subprocess.Popen[str]']:
    """Run a node that offers the test, in a process of its own."""
    command = [sys.executable, str(PROGRAMS / 'self_testing_node.py'), name, '/']
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    )
    with ended_at_exit(process):
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin:
            assert process.stdout.readline() == 'ready\n'
            yield process


def wait_for_scripts(api: GatewayProcess, app: str, expected: list[str]) -> None:
    """Wait until an app has these scripts and no others."""
    wait_for(
        lambda: api.request('GET', f'/apps/{app}/scripts'),
        lambda answer: (
            answer.status == 200 and [each['id'] for each in answer.body['items']] == expected
        ),
        what=f'{app} has the scripts {expected}',
    )


def test_a_node_that_can_test_itself_has_a_script_for_it_as_long_as_it_can(
    tmp_path: Path,
) -> None:
    """It comes with the service, tells each status as a check, and goes with the service."""
    with gateway(tmp_path) as api, bare_node('plain'), self_testing_node('pump') as node:
        wait_for_scripts(api, 'pump', [SCRIPT])
        wait_for_scripts(api, 'plain', [])
        detail = api.body(f'/apps/pump/scripts/{SCRIPT}')
        assert detail['managed'] is True
        ended = api.wait_for_status(api.start('apps/pump', SCRIPT), 'completed', 'failed')
        assert ended['status'] == 'completed', ended
        assert (ended['verdict'], ended['summary']) == ('FAIL', 'pump 7: failed, 2 tests')
        assert ended['checks'] == [
            {'name': 'wiring', 'verdict': 'PASS', 'value': {'message': 'fine'}},
            {
                'name': 'pressure',
                'verdict': 'FAIL',
                'value': {'message': 'too low', 'bar': '0.4'},
            },
        ]
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write('withdraw\n')
        node.stdin.flush()
        assert node.stdout.readline() == 'withdrawn\n'
        wait_for_scripts(api, 'pump', [])
        assert api.body(f'/executions/{ended["id"]}')['script_name'] == 'Self-test'
        assert api.request('DELETE', f'/apps/pump/scripts/{SCRIPT}').status == 404
