# SPDX-License-Identifier: Apache-2.0
"""A robot whose battery grows hot: its gateway starts a script by itself, and stops it again."""

from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from robot_parts import robot_part, RobotPart

FIELD = {'topic': '/battery/temperature', 'field': 'data'}
APP = 'apps/battery'


def publish(part: RobotPart, temperature: float) -> None:
    """Have the battery tell its temperature."""
    part.publish('/battery/temperature', temperature)


def trigger(api: GatewayProcess, href: str, kind: str = 'start_triggers') -> Any:
    """Return how the first trigger of an instance stands."""
    return api.body(href)[kind][0]['state']


def test_a_temperature_that_rises_starts_a_script_and_one_that_falls_stops_it(
    tmp_path: Path,
) -> None:
    """Over HTTP all of it is to be seen: the condition's value, what fired, what it led to; and of
    a type that is not installed its name."""
    with robot_part('battery') as part, gateway(tmp_path) as api:
        api.wait_for_app('battery')
        script_id = api.upload(APP, 'sleep 600\n')
        instances = f'/{APP}/scripts/{script_id}/instances'
        document = {
            'name': 'cools',
            'start_triggers': [{'condition': {**FIELD, 'above': 60}}],
            'stop_triggers': [{'condition': {**FIELD, 'below': 50}}],
        }
        assert api.request('POST', instances, json_body=document).status == 201
        unread = {**FIELD, 'type': 'nowhere_msgs/msg/Temperature', 'above': 60}
        other = {'name': 'never', 'start_triggers': [{'condition': unread}]}
        assert api.request('POST', instances, json_body=other).status == 201
        href = f'{instances}/cools'
        publish(part, 20.0)

        def warm_up() -> Any:
            # The subscription may come after a message.
            publish(part, 20.0)
            return trigger(api, href)

        state = wait_for(warm_up, lambda each: each['truth'] is False, what='it looks')
        assert state['armed'] is True
        assert trigger(api, href, 'stop_triggers')['armed'] is False
        unknown = wait_for(
            lambda: trigger(api, f'{instances}/never'),
            lambda each: 'nowhere_msgs' in str(each['parts']),
            what='the type is named',
        )
        assert unknown['truth'] is None
        publish(part, 71.5)
        found = wait_for(
            lambda: api.body(f'/executions?instance={script_id}:cools')['items'],
            bool,
            what='an execution of the instance',
        )
        (execution,) = found
        running = api.wait_for_status(execution['href'], 'running')
        assert running['instance'] == 'cools'
        assert running['trigger']['type'] == 'condition'
        assert running['trigger']['setting'] == '/battery/temperature data above 60'
        state = trigger(api, href)
        assert state['last_fired']['firing'] == running['trigger']['firing']
        assert state['last_fired']['execution'] == running['id']

        def cool_down() -> Any:
            publish(part, 40.0)
            return api.body(execution['href'])

        ended = wait_for(cool_down, lambda each: each['status'] == 'terminated', what='it stops')
        assert ended['stop_trigger']['type'] == 'condition'
        fired = _fired(api)
        assert [each['change']['cause'] for each in fired] == ['start', 'stop']
        assert fired[0]['change']['sequence'] == running['trigger']['firing']
        assert fired[0]['values'][0]['value'] == pytest.approx(71.5)
        figures = api.body('/health')['triggers']
        assert (figures['fired'], figures['dropped'], figures['topics']) == (2, 0, 1)
        wait_for(lambda: api.log, lambda log: 'trigger fired' in log, what='a line of the log')


def _fired(api: GatewayProcess) -> list[Any]:
    """Return what the log tells of firings."""
    told = [each['payload'] for each in api.body('/events?limit=1000')['items']]
    return [each for each in told if each['change']['kind'] == 'trigger.fired']
