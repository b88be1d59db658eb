# SPDX-License-Identifier: Apache-2.0
"""A robot on which something happens while a script runs and fails: its evidence tells it all."""

from collections.abc import Iterator
import io
import json
from pathlib import Path
from typing import Any
import zipfile

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from robot_parts import robot_part, RobotPart

APP = 'apps/motor'
ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'


@pytest.fixture
def looks() -> Iterator[Node]:
    """A node of this process that tells what is in the graph."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('_looks', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def diagnose(part: RobotPart, level: int, text: str) -> None:
    """Have the motor tell how it is."""
    status = [{'status': 'motor: temperature', 'level': level, 'message': text}]
    part.publish('/diagnostics', status, type_name=ARRAY, field='status')


def differences(document: Any) -> dict[str, tuple[Any, Any]]:
    """Return what differs before and after, by path."""
    return {
        each['path']: (each.get('before'), each.get('after')) for each in document['differences']
    }


def evidence(api: GatewayProcess, href: str) -> dict[str, Any]:
    """Return the parts of the evidence of an execution, which are JSON, once all of it is kept."""
    wait_for(
        lambda: api.request('GET', f'{href}/evidence'),
        lambda answer: answer.status == 200 and answer.body['complete'],
        what='the evidence',
    )
    answer = api.request('GET', f'{href}/evidence.zip')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    lines = parts.pop('rosout.ndjson').splitlines()
    found = {name: json.loads(part) for name, part in parts.items() if name.endswith('.json')}
    return {**found, 'rosout': [json.loads(line) for line in lines]}


def test_what_happened_on_the_robot_while_a_script_ran_is_told(
    tmp_path: Path, looks: Node
) -> None:
    """What a node logged, what it said of itself, the parameter that it changed, the node that
    came; and nothing of what is the gateway's own."""
    go = tmp_path / 'go'
    script = f'until [ -e {go} ]; do sleep 0.05; done; exit 3\n'
    with robot_part('motor') as part, gateway(tmp_path) as api:
        part.do(declare='speed', value=1.0)
        part.do(declare='bus_password', value='hunter2')
        diagnose(part, 0, 'cold')
        api.wait_for_app('motor')
        assert looks.count_subscribers('/rosout') == 0
        script_id = api.upload(APP, script, evidence='on_failure')
        wait_for(
            lambda: [looks.count_subscribers(topic) for topic in ('/rosout', '/diagnostics')],
            lambda counts: counts == [1, 1],
            what='the gateway listens',
        )
        href = api.start(APP, script_id)
        api.wait_for_status(href, 'running')
        part.do(set='speed', value=2.5)
        with robot_part('newcomer'):

            def happen() -> Any:
                # A subscription may come to match after a message.
                part.do(log='the motor is hot')
                diagnose(part, 1, 'hot')
                return api.body('/apps')['items']

            wait_for(
                happen, lambda apps: 'newcomer' in {app['id'] for app in apps}, what='newcomer'
            )
            go.touch()
            api.wait_for_status(href, 'failed')
            told = evidence(api, href)
    warned = [line for line in told['rosout'] if line['message'] == 'the motor is hot']
    assert {(line['node'], line['level']) for line in warned} == {('motor', 'WARN')}
    # The last one may be read when the script is over already.
    assert {line['phase'] for line in warned} - {'after'} == {'during'}
    statuses = [change['status'] for change in told['diagnostics.json']['changes']]
    assert ('motor: temperature', 'WARN', 'hot') in {
        (status['name'], status['level'], status['message']) for status in statuses
    }
    assert differences(told['node_parameters.json']) == {'/values/speed': (1.0, 2.5)}
    assert 'hunter2' not in json.dumps(told)
    graph = told['graph.json']
    assert differences(graph)['/nodes/~1newcomer'] == (None, 1)
    assert '/motor/get_parameters' in graph['before']['services']
    assert not [name for name in graph['after']['nodes'] if 'gateway_node' in name]
    assert graph['after']['topics']['/rosout']['subscribers'] == 0
