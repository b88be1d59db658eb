# SPDX-License-Identifier: Apache-2.0
"""The kill campaign: whatever was acknowledged survives a gateway that is killed at any moment."""

from collections import Counter
from collections.abc import Iterator
import os
from pathlib import Path
import secrets
import time
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import GatewayProcess, nothing_left
from kill_campaign import (
    Acknowledged,
    FINAL,
    id_of,
    RECURRING,
    Robot,
)
from ros_support import bare_node

SEED = 'KILL_CAMPAIGN_SEED'
RESTARTED = 'x-gateway-restarted'


@pytest.fixture(scope='module', autouse=True)
def node() -> Iterator[None]:
    """Run the node whose entities carry the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


@pytest.mark.timeout(240)
def test_ten_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Over ten kills no execution is missing, untrue, orphaned or made twice."""
    campaign(tmp_path, cycles=10)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Over a hundred kills no execution is missing, untrue, orphaned or made twice."""
    campaign(tmp_path, cycles=100)


def campaign(folder: Path, *, cycles: int) -> None:
    """Kill a working gateway `cycles` times, then judge what the last one knows."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    robot = Robot(folder, seed)
    try:
        with nothing_left(), robot.leftovers:
            live_and_be_killed(robot, cycles)
            bodies = live_to_the_end(robot)
            assert robot.processes() == {}
        robot.check_histories()
        judge(robot, bodies)
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise


def live_to_the_end(robot: Robot) -> dict[str, Any]:
    """Let a last gateway bring all to its end; return what it says of every execution."""
    with robot.life() as (process, log):
        bodies = settled(robot, robot.wait_serving(process, log))
        process.terminate()
        assert process.wait(20) == 0
    assert 'Traceback' not in log.read_text(encoding='utf-8')
    return bodies


def live_and_be_killed(robot: Robot, cycles: int) -> None:
    """Go through the lives; some of them are killed before they serve."""
    for cycle in range(cycles):
        with robot.life() as (process, log):
            if cycle and robot.random.random() < 0.25:
                time.sleep(robot.random.uniform(0.1, 1.5))  # the random moment of the kill
                robot.kill(process)
                continue
            api = robot.wait_serving(process, log)
            if not robot.script_ids:
                robot.upload_scripts(api)
            with robot.clients(api):
                time.sleep(robot.random.uniform(0.1, 1.8))  # the random moment of the kill
                robot.check_no_orphans()
                robot.kill(process)
        robot.check_histories()


def settled(robot: Robot, api: GatewayProcess) -> dict[str, Any]:
    """Wait until all but the schedules have ended; return what the API says of every one."""

    def seen() -> dict[str, Any]:
        return {body['id']: body for body in listed(robot, api)}

    wait_for(
        seen,
        lambda bodies: all(
            body['status'] in FINAL
            or (body.get('scheduled') and body['execution_type'] in RECURRING)
            for body in bodies.values()
        ),
        what='all executions have ended',
    )
    robot.check_no_orphans()
    found = {}
    for acknowledged in robot.told.started:
        for href in {acknowledged.href, acknowledged.schedule} - {None}:
            assert href is not None
            found[id_of(href)] = api.body(href)
    return seen() | found


def listed(robot: Robot, api: GatewayProcess) -> Iterator[Any]:
    """Return every execution that the lists show."""
    for (entity, _), script_id in robot.script_ids.items():
        path: str | None = f'/{entity}/scripts/{script_id}/executions?limit=1000'
        while path is not None:
            page = api.body(path)
            yield from page['items']
            path = page.get('next')


def judge(robot: Robot, bodies: dict[str, Any]) -> None:
    """Check every promise that was made."""
    begun = robot.begun()
    assert robot.told.refused == []
    assert len(robot.told.started) > len(robot.served)
    assert bodies.keys() == robot.histories().keys()
    assert set(begun) <= bodies.keys(), 'a script began without a record'
    assert {each: times for each, times in begun.items() if times > 1} == {}
    for body in bodies.values():
        check_end(robot, body, begun[body['id']])
    for acknowledged in robot.told.started:
        if acknowledged.execution_type in RECURRING:
            check_schedule(robot, acknowledged, bodies)
    for body in bodies.values():
        if body['execution_type'] == 'once_on_restart':
            assert body['status'] in FINAL
            assert not any(other.get('parent') == body['id'] for other in bodies.values())
    check_that_much_happened(robot, bodies)


def check_that_much_happened(robot: Robot, bodies: dict[str, Any]) -> None:
    """Check that the kills came in the middle of something: a quiet campaign proves nothing."""
    ends = Counter(
        body.get('error', {}).get('vendor_code', body['status']) for body in bodies.values()
    )
    assert ends['completed'], ends
    assert ends[RESTARTED], ends
    assert any(body['trigger']['type'] == 'restart' for body in bodies.values()), ends


def check_end(robot: Robot, body: Any, begun: int) -> None:
    """Check that an execution ended in one of the ways that this campaign can cause."""
    if body.get('scheduled'):
        assert (body['status'], begun) == ('prepared', 0), body
        return
    if body['id'] in robot.told.stopped:
        assert body['status'] == 'terminated', body
    if body['status'] == 'terminated':
        assert body['id'] in robot.told.stop_asked, body
    elif body['status'] == 'failed':
        assert body['error']['vendor_code'] == RESTARTED, body
    else:
        assert (body['status'], begun) == ('completed', 1), body


def check_schedule(robot: Robot, acknowledged: Acknowledged, bodies: dict[str, Any]) -> None:
    """Check that each start that served since made one run, or recorded that it did not."""
    assert acknowledged.schedule is not None
    schedule = bodies[id_of(acknowledged.schedule)]
    assert schedule['status'] == 'prepared', schedule
    since = robot.served[acknowledged.life + 1 :]
    runs = [
        body
        for body in bodies.values()
        if body.get('parent') == schedule['id'] and body['trigger']['type'] == 'restart'
    ]
    made = len(runs) + schedule['skipped_starts']
    assert sum(since) <= made <= len(since), (schedule, runs)
