# SPDX-License-Identifier: Apache-2.0
"""All at once: starts under keys, the line, groups, children, retries, callbacks and streams,
while the gateway is killed at any moment."""

from collections import Counter
from collections.abc import Iterator
import hashlib
import json
import os
from pathlib import Path
import secrets
import time
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from busy_robot import (
    BLOB_BYTES,
    BusyRobot,
    ENTITIES,
    MAX_EXECUTIONS,
    MAX_EXECUTIONS_PER_ENTITY,
)
from gateway_process import GatewayProcess, nothing_left
from kill_campaign import FINAL, id_of
from moody_receiver import MoodyReceiver
from patient_follower import PatientFollower
from ros_support import bare_node

Summary = dict[str, Any]

SEED = 'BUSY_CAMPAIGN_SEED'


@pytest.fixture(scope='module', autouse=True)
def node() -> Iterator[None]:
    """Run the node whose entities carry the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


@pytest.mark.timeout(240)
def test_all_at_once_holds_over_a_few_kills(tmp_path: Path) -> None:
    """Whatever clients do together, each of them gets what it was promised."""
    campaign(tmp_path, cycles=3)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_all_at_once_holds_over_many_kills(tmp_path: Path) -> None:
    """Nor do many kills together wear any promise away."""
    campaign(tmp_path, cycles=40)


def campaign(folder: Path, *, cycles: int) -> None:
    """Kill a busy gateway `cycles` times, then judge what the last one knows."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    receiver = MoodyReceiver(seed)
    robot = BusyRobot(folder, seed, receiver.url)
    follower = PatientFollower(robot.port, seed)
    try:
        with nothing_left(), robot.leftovers, receiver.listening(), follower.following():
            for _ in range(cycles):
                be_busy_and_killed(robot)
            live_to_the_end(robot, receiver, follower)
            assert robot.processes() == {}
        robot.check_histories()
        check_limits(robot)
        check_that_nothing_lies_about(robot)
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise


def be_busy_and_killed(robot: BusyRobot) -> None:
    """Let clients want this and that of one gateway, and kill it."""
    with robot.life() as (process, log):
        api = robot.wait_serving(process, log)
        if not robot.script_ids:
            robot.upload_scripts(api)
        with robot.clients(api):
            time.sleep(robot.random.uniform(0.5, 3.5))  # the random moment of the kill
            robot.check_no_orphans()
            robot.kill(process)
    robot.check_histories()


def live_to_the_end(robot: BusyRobot, receiver: MoodyReceiver, follower: PatientFollower) -> None:
    """Let a last gateway bring all to its end, and judge what it says."""
    receiver.calm = True
    with robot.life() as (process, log):
        api = robot.wait_serving(process, log)
        for path in ('/line', *(f'/{entity}/line' for entity in ENTITIES)):
            assert api.request('PUT', path, json_body={'paused': False}).status == 200
        bodies = settled(api)
        check_ends(robot, bodies)
        check_keys(robot, bodies)
        check_artifacts(api, bodies)
        check_callbacks(api, receiver, bodies)
        check_stream(robot, follower)
        process.terminate()
        assert process.wait(20) == 0


def settled(api: GatewayProcess) -> dict[str, Any]:
    """Wait until all have ended; return the detail of each."""

    def seen() -> list[Any]:
        found: list[Any] = []
        path: str | None = '/executions?limit=1000'
        while path is not None:
            page = api.body(path)
            found += page['items']
            path = page.get('next')
        return found

    api.wait_for('/line', lambda line: not line['waiting'], what='all have come in')
    items = wait_for(
        seen,
        lambda items: all(each['status'] in FINAL for each in items),
        what='all executions have ended',
    )
    return {each['id']: api.body(each['href']) for each in items}


def check_ends(robot: BusyRobot, bodies: dict[str, Any]) -> None:
    """Each that was accepted is there once, or was deleted; none began twice."""
    assert robot.told.refused == []
    removed = robot.removed()
    assert not robot.accepted.keys() - bodies.keys() - removed
    begun = robot.begun()
    assert begun.keys() <= bodies.keys() | removed
    assert {each: times for each, times in begun.items() if times > 1} == {}
    for body in bodies.values():
        if body['status'] == 'completed' and body['script_id'] != 'group':
            assert begun[body['id']] == 1, body
    ends = Counter(
        body.get('error', {}).get('vendor_code', body['status']) for body in bodies.values()
    )
    assert ends['completed'], ends
    # In few lives chance may hold the line at each kill, so that nothing runs.
    assert ends['x-gateway-restarted'] or len(robot.served) < 10, ends


def check_keys(robot: BusyRobot, bodies: dict[str, Any]) -> None:
    """Each key made one execution at most; where it was answered one, and always the same."""
    made = {
        (body['id'], body['input_parameters']['key'])
        for body in bodies.values()
        if 'parent' not in body
    }
    removed = robot.removed()
    times = Counter(key for _, key in made)
    for asked in robot.asked:
        told = set(asked.ids)
        assert len(told) <= 1, asked
        assert times[asked.key] <= 1, asked
        assert all((each, asked.key) in made for each in told - removed), asked
    assert times.keys() <= {asked.key for asked in robot.asked}
    assert any(len(asked.ids) > 1 for asked in robot.asked)


def check_artifacts(api: GatewayProcess, bodies: dict[str, Any]) -> None:
    """What is listed of an execution is there whole; what completed has all that it left."""
    works = [body for body in bodies.values() if body['script_name'] == 'works.sh']
    for body in works:
        if 'group' in body:
            continue
        items = api.body(f'{body["href"]}/artifacts')['items']
        if body['status'] == 'completed':
            assert [(each['path'], each['size']) for each in items] == [('blob', BLOB_BYTES)]
        for item in items:
            content = api.request('GET', item['href']).content
            assert hashlib.sha256(content).hexdigest() == item['sha256'], body


def check_callbacks(api: GatewayProcess, receiver: MoodyReceiver, bodies: dict[str, Any]) -> None:
    """Each end with a callback was told at least once, under the execution's id."""
    wanted = [body for body in bodies.values() if 'callback' in body]
    assert wanted
    for body in wanted:
        path = f'{body["href"]}/callback'
        if api.body(path)['status'] == 'waiting':
            api.request('POST', path)  # sooner than in its turn
        api.wait_for_status(path, 'delivered')
    assert {body['id'] for body in wanted} <= {told for told, _ in receiver.told}
    for told, execution in receiver.told:
        assert told == execution['id']
        assert execution['status'] in FINAL
        if told in bodies:
            assert execution['status'] == bodies[told]['status']


def check_stream(robot: BusyRobot, follower: PatientFollower) -> None:
    """Who followed saw each event of the log once, in order."""

    def logged() -> list[int]:
        return [sequence for (sequence,) in robot.rows('SELECT sequence FROM events ORDER BY 1')]

    last = logged()[-1]
    wait_for(
        lambda: follower.sequences[-1:], lambda seen: seen >= [last], what=f'event {last} is told'
    )
    seen = follower.sequences
    assert {each.name for each in follower.seen} <= {'status', 'script', 'line'}
    assert seen == [each for each in logged() if each >= seen[0]]


def check_limits(robot: BusyRobot) -> None:
    """At no moment more ran than may, those aside for whom somebody who runs waits."""
    accepted: dict[str, Summary] = {}
    running: set[str] = set()
    rows = robot.rows('SELECT kind, subject, changes FROM events ORDER BY sequence')
    for kind, subject, changes in rows:
        execution_id = id_of(subject)
        if kind == 'execution.accepted':
            accepted[execution_id] = json.loads(changes)
        elif kind == 'execution.running' and 'group' not in accepted[execution_id]:
            running.add(execution_id)
            check_places(running, accepted)
        elif kind == 'execution.ended':
            running.discard(execution_id)
    assert running == set()


def check_places(running: set[str], accepted: dict[str, Summary]) -> None:
    """Count who has a place, within each limit."""
    counted = [accepted[each] for each in running if running.isdisjoint(ancestors(each, accepted))]
    assert len(counted) <= MAX_EXECUTIONS, counted
    of_entities = Counter(each['entity'] for each in counted)
    assert max(of_entities.values(), default=0) <= MAX_EXECUTIONS_PER_ENTITY, counted
    for group, number in Counter(group_of(accepted[each], accepted) for each in running).items():
        assert group is None or number <= accepted[group]['group']['max_parallel'], counted


def group_of(execution: Summary, accepted: dict[str, Summary]) -> str | None:
    """Return the group that an execution is of, or that it is a further attempt of one of."""
    parent = execution.get('parent')
    if parent is not None and execution['trigger'].get('setting') == 'retry':
        return group_of(accepted[parent], accepted)
    return parent if parent is not None and 'group' in accepted[parent] else None


def ancestors(execution_id: str, accepted: dict[str, Summary]) -> Iterator[str]:
    """Name the parent, that one's parent, and so on."""
    parent = accepted[execution_id].get('parent')
    while parent is not None:
        yield parent
        parent = accepted[parent].get('parent')


def check_that_nothing_lies_about(robot: BusyRobot) -> None:
    """Nothing failed unseen, and nothing is left of what ran, or of what is not on record."""
    for log in robot.folder.glob('log_*'):
        assert 'Traceback' not in log.read_text(encoding='utf-8')
    paths = [path for path in robot.state_dir.rglob('*') if not path.is_symlink()]
    assert [path for path in paths if path.is_socket() or path.is_fifo()] == []
    on_record = {each for (each,) in robot.rows('SELECT id FROM executions')}
    assert {path.name for path in (robot.state_dir / 'executions').iterdir()} <= on_record
