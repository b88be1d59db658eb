# SPDX-License-Identifier: Apache-2.0
"""The worked examples of docs/triggers.md, on a robot that does what they wait for."""

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import datetime
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from ros_support import bare_node, ended_at_exit, PROGRAMS

PAGE = Path(__file__).parents[2] / 'docs' / 'triggers.md'
ENDS = 'exit 0\n'
STAYS = 'exec sleep 600\n'
FINDS_A_FAULT = 'echo \'{"verdict": "FAIL"}\'\n'
HOUR_SEC, SHORT_SEC = 3600, 1


def examples() -> dict[int, dict[str, Any]]:
    """Return the instance of each example, by its number."""
    page = PAGE.read_text(encoding='utf-8')
    found = re.finditer(
        r'^### (\d+)\. .*?^```json\n(.*?)^```$', page, flags=re.MULTILINE | re.DOTALL
    )
    return {int(each[1]): json.loads(each[2]) for each in found}


EXAMPLES = examples()


class Robot:
    """The nodes that the examples look at."""

    def __init__(self, process: 'subprocess.Popen[str]', planner: contextlib.ExitStack) -> None:
        self._process = process
        self.planner = planner
        """Closed, the planner dies."""

    def say(self, **topics: Any) -> None:
        """Publish these values from now on, by topic without its slash; None stops one."""
        assert self._process.stdin is not None
        values = {f'/{name}': value for name, value in topics.items()}
        self._process.stdin.write(json.dumps(values) + '\n')
        self._process.stdin.flush()

    def motor(self, celsius: float) -> None:
        """Publish how hot the left motor is."""
        self.say(**{'motor_left/temperature': celsius})


@pytest.fixture(scope='module')
def robot() -> Iterator[Robot]:
    """Run the robot; at first all of it is well."""
    command = [sys.executable, str(PROGRAMS / 'robot_of_examples.py')]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    )
    with ended_at_exit(process), contextlib.ExitStack() as planner:
        assert process.stdin is not None
        assert process.stdout is not None
        planner.enter_context(bare_node('planner', '/navigation'))
        with process.stdin:
            assert process.stdout.readline() == 'ready\n'
            robot = Robot(process, planner)
            robot.motor(40.0)
            robot.say(battery=0.5, scan='here', docked=False, diagnostics=0, velocity=0.0)
            yield robot


@pytest.fixture(scope='module')
def api(robot: Robot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Run a gateway that sees the robot."""
    with gateway(tmp_path_factory.mktemp('examples')) as api:
        api.wait_for_app('robot_of_examples')
        yield api


@dataclass(frozen=True, kw_only=True)
class Made:
    """An example's instance on the gateway."""

    api: GatewayProcess
    path: str

    @property
    def shown(self) -> Any:
        """What GET answers of it."""
        return self.api.body(self.path)

    def wait_truth(self, truth: bool) -> None:
        """Wait until its only start trigger's condition is known to be so."""
        self.api.wait_for(
            self.path,
            lambda body: body['start_triggers'][0]['state']['truth'] is truth,
            what=f'the condition of {self.path} is {truth}',
        )

    def wait_started(self) -> Any:
        """Wait until it has an execution that its trigger started; return that."""
        query = f'/executions?trigger=condition&instance={self.of_script}'
        found = wait_for(
            lambda: self.api.body(query)['items'],
            bool,
            what=f'{self.path} has started; it says {self.shown}',
        )
        execution = found[0]
        assert execution['trigger']['type'] == 'condition'
        assert execution['trigger']['firing'] > 0
        return execution

    @property
    def of_script(self) -> str:
        """It, as a filter names it."""
        parts = self.path.split('/')
        return f'{parts[4]}:{parts[6]}'


def make(api: GatewayProcess, number: int, script: str = ENDS) -> Made:
    """Make an example's instance, of a script of its own."""
    host = api.body('/components')['items'][0]['id']
    script_id = api.upload(f'components/{host}', script)
    instances = f'/components/{host}/scripts/{script_id}/instances'
    answer = api.request('POST', instances, json_body=EXAMPLES[number])
    assert answer.status == 201, answer
    return Made(api=api, path=f'{instances}/{EXAMPLES[number]["name"]}')


def test_there_are_ten() -> None:
    """In order."""
    assert list(EXAMPLES) == list(range(1, 11))


def test_a_motor_gets_hot(api: GatewayProcess, robot: Robot) -> None:
    """Hot for two seconds starts it, with its parameters."""
    made = make(api, 1)
    made.wait_truth(False)
    robot.motor(75.0)
    execution = made.wait_started()
    detail = api.body(execution['href'])
    assert detail['input_parameters'] == {'motor': 'left'}
    assert detail['instance'] == 'motor-hot'


def test_it_runs_until_the_battery_is_low(api: GatewayProcess, robot: Robot) -> None:
    """Its stop trigger ends it."""
    made = make(api, 2, STAYS)
    made.wait_truth(False)
    robot.say(battery=0.95)
    href = made.wait_started()['href']
    api.wait_for_status(href, 'running')
    robot.say(battery=0.1)
    ended = api.wait_for_status(href, 'terminated', 'failed', 'completed')
    assert ended['status'] == 'terminated'
    assert ended['stop_trigger']['type'] == 'condition'


@pytest.mark.parametrize(
    ('number', 'change'),
    [
        (3, lambda robot: robot.say(scan=None)),
        (4, lambda robot: robot.planner.close()),
        (5, lambda robot: robot.say(diagnostics=2)),
    ],
    ids=['a_sensor_goes_silent', 'a_node_dies', 'an_error_in_the_diagnostics'],
)
def test_what_goes_wrong_starts_it(
    api: GatewayProcess, robot: Robot, number: int, change: Callable[[Robot], None]
) -> None:
    """As soon as it is so for as long as the example says."""
    made = make(api, number)
    made.wait_truth(False)
    change(robot)
    made.wait_started()


def test_every_hour_while_docked(
    api: GatewayProcess, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while it is not docked; an hour is shorter here."""
    text = json.dumps(EXAMPLES[6])
    assert text.count(str(HOUR_SEC)) == 1
    monkeypatch.setitem(EXAMPLES, 6, json.loads(text.replace(str(HOUR_SEC), str(SHORT_SEC))))
    made = make(api, 6)
    robot.say(docked=True)
    made.wait_started()


def test_every_night(api: GatewayProcess) -> None:
    """It waits for the next three o'clock."""
    made = make(api, 7)
    state = made.shown['start_triggers'][0]['state']
    due = datetime.datetime.fromisoformat(state['next']).astimezone()
    assert (due.hour, due.minute) == (3, 0)
    assert api.body(f'/executions?instance={made.of_script}')['items'] == []


def test_a_closer_look_after_a_check_that_failed(api: GatewayProcess) -> None:
    """The end of the other script starts it."""
    host = api.body('/components')['items'][0]['id']
    made = make(api, 8)
    checks = api.upload(f'components/{host}', FINDS_A_FAULT, name='check_motors.sh')
    api.start(f'components/{host}', checks)
    made.wait_started()


def test_only_while_the_robot_stands_still(api: GatewayProcess, robot: Robot) -> None:
    """It is refused while the robot drives, and ended where it drives off."""
    made = make(api, 10, STAYS)
    robot.say(velocity=0.7)
    start = f'{made.path}/executions'

    def refused() -> Any:
        return api.request('POST', start, json_body={})

    answer = wait_for(refused, lambda answer: answer.status != 202, what='it is refused')
    assert answer.status == 409
    assert answer.body['error_code'] == 'precondition-not-fulfilled'
    assert 'the robot stands still' in json.dumps(answer.body['parameters'])
    robot.say(velocity=0.0)
    answer = wait_for(refused, lambda answer: answer.status != 409, what='it starts')
    assert answer.status == 202, answer
    api.wait_for_status(answer.body['href'], 'running')
    robot.say(velocity=0.7)
    ended = api.wait_for_status(answer.body['href'], 'terminated', 'failed', 'completed')
    assert ended['error']['vendor_code'] == 'x-gateway-precondition-lost'


def test_after_each_start_of_the_gateway(tmp_path: Path) -> None:
    """Not at its own making."""
    with gateway(tmp_path) as api:
        made = make(api, 9)
        assert api.body(f'/executions?instance={made.of_script}')['items'] == []
    with gateway(tmp_path) as again:
        Made(api=again, path=made.path).wait_started()
