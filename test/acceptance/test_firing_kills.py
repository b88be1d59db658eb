# SPDX-License-Identifier: Apache-2.0
"""A gateway that is killed by SIGKILL at any moment while a publisher toggles: each firing that is
in the log comes to one end."""

from collections.abc import Iterator
import os
from pathlib import Path
import random
import secrets
import signal
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from firing_robot import Record
from gateway_process import entry_point, GatewayProcess, nothing_left, serving, started
from robot_parts import robot_part, RobotPart
from waiting import wait_for

SEED = 'FIRING_KILLS_SEED'
FIELD = {'topic': '/battery/temperature', 'field': 'data'}
APP = 'apps/battery'


@pytest.fixture
def weather() -> Iterator[None]:
    """A battery whose temperature goes up and down, a few times a second."""
    over = threading.Event()
    with robot_part('battery') as part:
        toggling = threading.Thread(target=_toggle, args=(part, over))
        toggling.start()
        try:
            yield
        finally:
            over.set()
            toggling.join()


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.usefixtures('weather')
def test_firings_over_sixty_kills_come_to_one_end_each(tmp_path: Path) -> None:
    """An execution, a stop or a drop: none is lost that was in the log, none comes twice."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    chance = random.Random(seed)
    try:
        with nothing_left():
            _live(tmp_path, _make_instances)
            for _ in range(60):
                _be_killed(tmp_path, chance)
            _live(tmp_path, _wait_quiet)
        record = Record(tmp_path / 'state')
        record.check()
        assert record.fired('start')
        assert record.fired('stop')
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise


def _live(folder: Path, live: object) -> None:
    """Have a gateway live and end in peace."""
    with started(entry_point(folder / 'state'), folder) as (process, log):
        api = serving(process, log)
        assert callable(live)
        live(api)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert 'Traceback' not in log.read_text(encoding='utf-8')


def _be_killed(folder: Path, chance: random.Random) -> None:
    with started(entry_point(folder / 'state'), folder) as (process, log):
        serving(process, log)
        time.sleep(chance.uniform(0, 3))  # no wait for anything: it is the life that chance gives
        process.kill()
        process.wait(20)
        assert 'Traceback' not in log.read_text(encoding='utf-8')


def _make_instances(api: GatewayProcess) -> None:
    api.wait_for_app('battery')
    for name, content in (('naps', 'sleep 0.3\n'), ('sleeps', 'sleep 600\n')):
        script_id = api.upload(APP, content, name=f'{name}.sh')
        document = {
            'name': name,
            'start_triggers': [
                {'condition': {**FIELD, 'above': 60}},
                {'condition': {'all': [{**FIELD, 'above': 50}, {**FIELD, 'below': 90}]}},
            ],
            'stop_triggers': [{'condition': {**FIELD, 'below': 30}}],
        }
        path = f'/{APP}/scripts/{script_id}/instances'
        answer = api.request('POST', path, json_body=document)
        assert answer.status == 201, answer


def _wait_quiet(api: GatewayProcess) -> None:
    """Have all triggers disabled, and wait until nothing is under way."""
    for script in api.body(f'/{APP}/scripts')['items']:
        for instance in api.body(f'{script["href"]}/instances')['items']:
            path = f'{instance["href"]}/actions'
            answer = api.request('POST', path, json_body={'action': 'disable'})
            assert answer.status in (200, 204), answer
    wait_for(
        lambda: api.body('/health')['triggers']['under_way'],
        lambda count: count == 0,
        what='nothing is under way',
    )


def _toggle(part: RobotPart, over: threading.Event) -> None:
    chance = random.Random()
    while not over.wait(chance.uniform(0.02, 0.3)):
        temperature = chance.choice((10.0, 20.0, 40.0, 70.0, 95.0))
        part.publish('/battery/temperature', temperature)
