# SPDX-License-Identifier: Apache-2.0
"""The four execution types over several lives of a gateway, with a real node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from killing import ENTITY, kill
from ros_support import bare_node

ENTITIES = (ENTITY, 'components/powertrain_engine')
OFTEN = {'restart.min_interval_sec': 0}
SIGNS_IN = 'echo "$GATEWAY_EXECUTION_ID" >>"$1"\necho "threshold $PARAM_THRESHOLD"\n'
FINAL = ('completed', 'failed', 'terminated')


@pytest.fixture
def node() -> Iterator[None]:
    """Run the node whose app and component carry the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


class Scene:
    """A script that notes its executions in a file, and what is asked about them."""

    def __init__(self, folder: Path, entity: str) -> None:
        self.witness = folder / 'witness.txt'
        self.witness.touch()
        self.entity = entity
        self.script = ''

    def upload(self, api: GatewayProcess) -> None:
        """Upload the script, once its entity is there."""
        api.wait_for_app('temp_sensor')
        self.script = f'/{self.entity}/scripts/{api.upload(self.entity, SIGNS_IN)}'

    def start(self, api: GatewayProcess, execution_type: str) -> Any:
        """Start an execution; return the answer's body."""
        answer = api.request(
            'POST',
            f'{self.script}/executions',
            json_body={
                'execution_type': execution_type,
                'parameters': {'threshold': 7},
                'arguments': [str(self.witness)],
            },
        )
        assert answer.status == 202, answer
        assert answer.body['status'] == 'prepared'
        return answer.body

    def runs(self, api: GatewayProcess, schedule: str) -> list[Any]:
        """Return the executions that a schedule made, oldest first, once they have ended."""

        def listed() -> list[Any]:
            items = api.body(f'{self.script}/executions')['items']
            return [each for each in reversed(items) if each.get('parent') == id_of(schedule)]

        found: list[Any] = wait_for(
            listed,
            lambda runs: all(each['status'] in FINAL for each in runs),
            what='all runs have ended',
        )
        return found

    def begun(self) -> list[str]:
        """Return the ids of the executions whose scripts began."""
        return self.witness.read_text(encoding='ascii').split()


def id_of(href: str) -> str:
    """Return the id of the execution at `href`."""
    return href.rpartition('/')[2]


def assert_scheduled_start(run: Any, schedule: str, execution_type: str) -> None:
    """Check that a run was made by its schedule, and went well."""
    assert run['status'] == 'completed', run
    assert run['parent'] == id_of(schedule)
    assert run['execution_type'] == execution_type
    assert run['trigger'] == {'type': 'restart', 'setting': id_of(schedule)}


@pytest.mark.parametrize('entity', ENTITIES)
def test_each_restart_type_has_its_runs(tmp_path: Path, node: None, entity: str) -> None:
    """Over an orderly restart and a kill: two runs of each schedule, one of `once`."""
    scene = Scene(tmp_path, entity)
    with gateway(tmp_path, OFTEN) as api:
        scene.upload(api)
        on_restart = scene.start(api, 'on_restart')['href']
        once = scene.start(api, 'once_on_restart')['href']
        answer = scene.start(api, 'now_and_on_restart')
        first, both = answer['href'], answer['schedule']
        assert api.wait_for_status(first, 'completed')['schedule'] == both
        for href in (on_restart, once, both):
            assert (api.body(href)['status'], api.body(href)['scheduled']) == ('prepared', True)
        assert scene.begun() == [id_of(first)]
    for life in (1, 2):
        with gateway(tmp_path, OFTEN) as again:
            assert again.wait_for_status(once, 'completed')['output']['stdout'] == 'threshold 7\n'
            for schedule, kind in ((on_restart, 'on_restart'), (both, 'now_and_on_restart')):
                runs = scene.runs(again, schedule)
                assert len(runs) == life
                for run in runs:
                    assert_scheduled_start(run, schedule, kind)
                body = again.body(schedule)
                assert (body['status'], body['skipped_starts']) == ('prepared', 0)
                assert body['last_start_at'] >= runs[-1]['created_at']
            assert scene.runs(again, once) == []
            kill(again)
    begun = scene.begun()
    assert len(begun) == len(set(begun)) == 1 + 1 + 2 + 2
    assert begun.count(id_of(once)) == 1


def test_a_schedule_that_was_deleted_or_stopped_has_no_run(tmp_path: Path, node: None) -> None:
    """DELETE removes a schedule, a stop ends it; neither runs at the next start."""
    scene = Scene(tmp_path, ENTITY)
    with gateway(tmp_path, OFTEN) as api:
        scene.upload(api)
        deleted = scene.start(api, 'on_restart')['href']
        assert api.request('DELETE', deleted).status == 204
        assert api.request('GET', deleted).status == 404
        stopped = scene.start(api, 'once_on_restart')['href']
        answer = api.request('PUT', stopped, json_body={'action': 'stop'})
        assert (answer.status, answer.body['status']) == (200, 'terminated')
        once = scene.start(api, 'once_on_restart')['href']
        kill(api)
    with gateway(tmp_path, OFTEN) as again:
        again.wait_for_status(once, 'completed')
        assert again.request('GET', deleted).status == 404
        assert again.body(stopped)['status'] == 'terminated'
    assert scene.begun() == [id_of(once)]


def test_a_crash_loop_does_not_feed_itself(tmp_path: Path, node: None) -> None:
    """A start within the minimum interval makes no run, and is counted on the schedule."""
    scene = Scene(tmp_path, ENTITY)
    with gateway(tmp_path) as api:
        scene.upload(api)
        schedule = scene.start(api, 'on_restart')['href']
        kill(api)
    for skipped in range(3):
        with gateway(tmp_path) as again:
            (run,) = scene.runs(again, schedule)
            assert_scheduled_start(run, schedule, 'on_restart')
            assert again.body(schedule)['skipped_starts'] == skipped
            kill(again)
    assert scene.begun() == [run['id']]


def test_the_schedules_of_a_deleted_script_fail(tmp_path: Path, node: None) -> None:
    """They say so at once and after a restart, and make no run."""
    scene = Scene(tmp_path, ENTITY)
    with gateway(tmp_path, OFTEN) as api:
        scene.upload(api)
        schedules = [scene.start(api, kind)['href'] for kind in ('on_restart', 'once_on_restart')]
        assert api.request('DELETE', scene.script).status == 204
        ended = [api.body(schedule) for schedule in schedules]
        kill(api)
    for body in ended:
        assert body['status'] == 'failed'
        assert body['error']['vendor_code'] == 'x-gateway-script-gone'
        assert 'scheduled' not in body
    with gateway(tmp_path, OFTEN) as again:
        assert [again.body(schedule) for schedule in schedules] == ended
    assert scene.begun() == []


def test_a_run_waits_for_its_entity(tmp_path: Path) -> None:
    """A run begins when its node comes; while it waits nothing of it is used up."""
    scene = Scene(tmp_path, ENTITY)
    with bare_node('temp_sensor', '/powertrain/engine'), gateway(tmp_path, OFTEN) as api:
        scene.upload(api)
        once = scene.start(api, 'once_on_restart')['href']
        schedule = scene.start(api, 'on_restart')['href']
        kill(api)
    with gateway(tmp_path, OFTEN) as waiting:
        waiting.wait_for_app('temp_sensor', online=False)
        assert (waiting.body(once)['status'], waiting.body(once)['scheduled']) == (
            'prepared',
            True,
        )
        kill(waiting)
    with gateway(tmp_path, OFTEN) as again:
        again.wait_for_app('temp_sensor', online=False)
        with bare_node('temp_sensor', '/powertrain/engine'):
            again.wait_for_status(once, 'completed')
            lost, made = scene.runs(again, schedule)
    assert lost['error']['vendor_code'] == 'x-gateway-restarted'
    assert_scheduled_start(made, schedule, 'on_restart')
    assert sorted(scene.begun()) == sorted([id_of(once), made['id']])


def test_a_run_whose_entity_does_not_come_fails(tmp_path: Path) -> None:
    """Past `restart.entity_timeout_sec` it says which entity it waited for; schedules stay."""
    scene = Scene(tmp_path, ENTITY)
    with bare_node('temp_sensor', '/powertrain/engine'), gateway(tmp_path, OFTEN) as api:
        scene.upload(api)
        once = scene.start(api, 'once_on_restart')['href']
        schedule = scene.start(api, 'on_restart')['href']
        kill(api)
    with gateway(tmp_path, {**OFTEN, 'restart.entity_timeout_sec': 0.5}) as again:
        failed = again.wait_for_status(once, 'failed')
        (run,) = scene.runs(again, schedule)
        for body in (failed, run):
            assert body['error']['vendor_code'] == 'x-gateway-entity-absent'
            assert 'apps/temp_sensor' in body['error']['message']
        assert again.body(schedule)['status'] == 'prepared'
    assert scene.begun() == []


def test_schedules_count_for_no_limit(tmp_path: Path, node: None) -> None:
    """Neither concurrency, nor single_execution, nor retention knows of a schedule."""
    limits = {
        'scripts.max_concurrent_executions': 1,
        'scripts.max_concurrent_executions_per_entity': 1,
        'history.max_executions': 1,
        **OFTEN,
    }
    scene = Scene(tmp_path, ENTITY)
    with gateway(tmp_path, limits) as api:
        scene.upload(api)
        answer = api.send_form('PUT', scene.script, SIGNS_IN, single_execution=True)
        assert answer.status == 200
        schedules = [scene.start(api, 'on_restart')['href'] for _ in range(3)]
        for _ in range(2):
            api.wait_for_status(scene.start(api, 'now')['href'], 'completed')
        kill(api)
    with gateway(tmp_path, limits) as again:
        wait_for(scene.begun, lambda begun: len(begun) == 2 + 3, what='all schedules had runs')
        for schedule in schedules:
            assert again.body(schedule)['status'] == 'prepared'
