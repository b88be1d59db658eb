# SPDX-License-Identifier: Apache-2.0
"""What scripts require of a real robot, whose nodes publish, stop and die."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from robot_parts import robot_part
from waiting import wait_for

PUTS_DOWN = 'trap "echo put down; exit 3" TERM\necho begun\nwhile :; do sleep 0.05; done\n'
NEEDS = [
    {
        'condition': {'topic': '/voltage', 'field': 'data', 'above': 10},
        'hold': True,
        'max_age_sec': 4,
    }
]


def begun(api: GatewayProcess, script: str) -> str:
    """Start the script once the robot is as it requires; return its execution once it has."""

    def start() -> tuple[int, dict[str, str]]:
        answer = api.request('POST', f'{script}/executions', json_body={'execution_type': 'now'})
        return answer.status, answer.body

    _, body = wait_for(start, lambda answer: answer[0] == 202, what='the script starts')
    api.wait_for(
        body['href'],
        lambda shown: 'begun' in shown['output']['stdout'],
        what='the script has begun',
    )
    return body['href']


def lost(api: GatewayProcess, href: str) -> dict[str, Any]:
    """Wait until an execution has failed for what it lost, and was put down; return that."""
    ended = api.wait_for_status(href, 'failed', 'completed', 'terminated')
    assert ended['error']['vendor_code'] == 'x-gateway-precondition-lost', ended
    assert (ended['exit_code'], ended['output']['stdout']) == (3, 'begun\nput down\n')
    told: dict[str, Any] = ended['error']['parameters']['lost']
    return told


def test_a_script_runs_as_long_as_the_robot_is_as_it_requires(tmp_path: Path) -> None:
    """Refused where nobody publishes, by name; put down with a stop where a value is lost, and
    where the node dies that told it."""
    with gateway(tmp_path) as api, robot_part('battery') as part:
        api.wait_for_app('battery')
        script_id = api.upload('apps/battery', PUTS_DOWN, preconditions=NEEDS)
        script = f'/apps/battery/scripts/{script_id}'
        now = {'execution_type': 'now'}
        refused = api.request('POST', f'{script}/executions', json_body=now)
        assert refused.status == 409
        (unmet,) = refused.body['parameters']['unmet']
        assert (unmet['truth'], unmet['wanted']) == (None, '/voltage data above 10')
        assert '/voltage' in unmet['why']
        part.publish('/voltage', 12.0, hz=20)
        href = begun(api, script)
        part.publish('/voltage', 9.0, hz=20)
        assert lost(api, href)['value'] == 9
        part.publish('/voltage', 12.0, hz=20)
        href = begun(api, script)
        part.kill()
        assert lost(api, href)['truth'] is None
