# SPDX-License-Identifier: Apache-2.0
"""A history that is there when the gateway starts: open executions, old ones, too many, jumps."""

from collections.abc import Callable, Iterator
import datetime
import os
from pathlib import Path
import subprocess
import sys

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from fakes import new_execution, next_change
from gateway_process import gateway, GatewayProcess
from killing import ENTITY, kill
from ros_support import bare_node

from gateway_node.child.process_tree import identify
from gateway_node.clock import SystemClock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.process.journal import Journal, JournalEntry
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

OPEN_EXECUTIONS = 100
RECOVERY_SEC = 1.0
SLACK = 5
YEAR = datetime.timedelta(days=365)


@pytest.fixture(scope='module', autouse=True)
def node() -> Iterator[None]:
    """Run the node whose app carries the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


async def leave(state_dir: Path, executions: list[list[Execution]]) -> None:
    """Leave executions behind as an earlier gateway would, each through all of its states."""
    database = await Database.open(state_dir)
    store = await SqliteExecutionStore.open(database, SystemClock())
    await store.record(
        [
            Change.first(state, GATEWAY) if state is states[0] else next_change(state, 'left')
            for states in executions
            for state in states
        ]
    )
    await store.close()


def running(execution: Execution) -> list[Execution]:
    """Return the states of an execution that runs."""
    started_at = execution.created_at
    return [execution, advance(execution, ExecutionStatus.RUNNING, started_at=started_at)]


def completed(execution: Execution) -> list[Execution]:
    """Return the states of an execution that has completed."""
    states = running(execution)
    moment = execution.created_at
    return [*states, advance(states[-1], ExecutionStatus.COMPLETED, completed_at=moment)]


def executions_of(script: str, count: int, now: datetime.datetime) -> list[Execution]:
    """Return prepared executions that were created at `now`, with ids to match."""
    entity, script_id = script.strip('/').split('/scripts/')
    ids = ExecutionIds()
    return [
        new_execution(
            0,
            id=ids.next(now),
            entity=EntityRef.from_path(entity),
            script_id=script_id,
            created_at=now,
        )
        for _ in range(count)
    ]


def journal_all(state_dir: Path, executions: list[Execution]) -> None:
    """Journal executions under the mark of a process that is gone, and leave output of each."""
    process = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    mark = identify(process.pid)
    process.communicate(b'\n')
    journal = Journal(state_dir)
    journal.open()
    for execution in executions:
        journal.write(
            JournalEntry(
                execution_id=execution.id, boot_id=journal.boot_id, supervisor=mark, script=mark
            )
        )
        folder = state_dir / 'executions' / execution.id
        (folder / 'work').mkdir(parents=True)


def prepared(folder: Path) -> str:
    """Let a gateway live for a while on `folder/state`; return the path of a script there."""
    with gateway(folder) as api:
        api.wait_for_app('temp_sensor')
        return f'/{ENTITY}/scripts/{api.upload(ENTITY, "echo done")}'


def seconds_to_serve(folder: Path, check: Callable[[GatewayProcess], None]) -> float:
    """Return the seconds of a processor from the start of a gateway to its first answer: what
    others have the machine do meanwhile does not count (man 5 proc_pid_stat)."""
    with gateway(folder) as api:
        assert api.request('GET', '/health').status == 200
        stat = Path(f'/proc/{api.process.pid}/stat').read_text(encoding='utf-8')
        taken = sum(map(int, stat.rpartition(')')[2].split()[11:13]))
        check(api)
        return taken / os.sysconf('SC_CLK_TCK')


async def test_a_hundred_open_executions_do_not_hold_up_the_start(tmp_path: Path) -> None:
    """Each is `failed`, x-gateway-restarted, when the API takes work: well under a second later
    than without them."""
    script = prepared(tmp_path)
    state_dir = tmp_path / 'state'
    usual = seconds_to_serve(tmp_path, lambda _: None)
    executions = executions_of(script, OPEN_EXECUTIONS, datetime.datetime.now(datetime.UTC))
    await leave(state_dir, [running(each) for each in executions])
    journal_all(state_dir, executions)

    def check(api: GatewayProcess) -> None:
        items = api.body(f'{script}/executions?limit=-1000')['items']
        assert [each['id'] for each in reversed(items)] == [each.id for each in executions]
        assert {(e['status'], e['error']['vendor_code']) for e in items} == {
            ('failed', 'x-gateway-restarted')
        }

    recovery_sec = seconds_to_serve(tmp_path, check) - usual
    assert recovery_sec < SLACK * RECOVERY_SEC, f'{usual:.3f} s without them'
    assert os.listdir(state_dir / 'open') == []


@pytest.mark.parametrize('start_prepared', [False, True])
async def test_what_was_accepted_and_not_started_fails_or_starts_as_configured(
    tmp_path: Path, start_prepared: bool
) -> None:
    """By default it fails; with `restart.start_prepared` it runs, whatever its start left."""
    script = prepared(tmp_path)
    (execution,) = executions_of(script, 1, datetime.datetime.now(datetime.UTC))
    await leave(tmp_path / 'state', [[execution]])
    (tmp_path / 'state' / 'executions' / execution.id).mkdir(parents=True)
    with gateway(tmp_path, {'restart.start_prepared': start_prepared}) as api:
        body = api.wait_for_status(f'{script}/executions/{execution.id}', 'completed', 'failed')
    if start_prepared:
        assert body['status'] == 'completed', body
        assert body['trigger'] == {'type': 'manual'}
    else:
        assert body['error']['vendor_code'] == 'x-gateway-restarted'
        assert 'started_at' not in body


@pytest.mark.parametrize('jump', [YEAR, -YEAR], ids=['back_a_year', 'forward_a_year'])
async def test_a_jump_of_the_clock_between_two_lives(
    tmp_path: Path, jump: datetime.timedelta
) -> None:
    """Ids still grow, the newest is listed first, and retention removes nothing by the jump.

    The executions of a life whose clock was a year off stand for the jump.
    """
    script = prepared(tmp_path)
    then = datetime.datetime.now(datetime.UTC) + jump
    old = executions_of(script, 3, then)
    await leave(tmp_path / 'state', [completed(each) for each in old])
    with gateway(tmp_path, {'history.max_age_days': 1, 'history.max_failed_age_days': 1}) as api:
        api.wait_for_app('temp_sensor')
        new = []
        for _ in range(3):
            href = api.start(ENTITY, script.rpartition('/')[2])
            assert api.wait_for_status(href, 'completed')['duration_ms'] < 45_000
            new.append(href.rpartition('/')[2])
        listed = [each['id'] for each in api.body(f'{script}/executions')['items']]
        assert listed == [*reversed(new), *(each.id for each in reversed(old))]
        assert listed == sorted(listed, reverse=True)
        page = api.body(f'{script}/executions?limit=-2')
        assert [each['id'] for each in page['items']] == listed[:2]
        rest = api.body(page['next'])
        assert [each['id'] for each in rest['items']] == listed[2:4]
        kill(api)


def test_what_is_too_many_is_removed_with_its_files(tmp_path: Path) -> None:
    """The oldest go, record and output; what runs, schedules, and what fits the limit stay."""
    script = prepared(tmp_path)
    script_id = script.rpartition('/')[2]
    folder = tmp_path / 'state' / 'executions'
    with gateway(tmp_path, {'history.max_executions': 3}) as api:
        api.wait_for_app('temp_sensor')
        schedule = api.start(ENTITY, script_id, execution_type='on_restart')
        sleeping = api.start(ENTITY, api.upload(ENTITY, 'echo up; exec sleep 600\n'))
        api.wait_for_status(sleeping, 'running')
        ended = []
        for _ in range(6):
            ended.append(api.start(ENTITY, script_id))
            wait_for(
                lambda: api.request('GET', ended[-1]),
                lambda answer: answer.status == 200 and answer.body['status'] == 'completed',
                what='the newest one has completed',
            )
        kept = {href.rpartition('/')[2] for href in (*ended[-3:], sleeping)}
        wait_for(lambda: set(os.listdir(folder)), lambda found: found == kept, what='the files')
        for href in ended[:3]:
            assert api.request('GET', href).status == 404
        for href in (*ended[3:], schedule, sleeping):
            assert api.request('GET', href).status == 200
        assert api.body('/health')['executions']['completed'] == 3
    with gateway(tmp_path, {'history.max_executions': 1}) as fewer:
        # The schedule's run and what the shutdown ended came on top; one stays.
        wait_for(lambda: len(os.listdir(folder)), lambda count: count == 1, what='one is left')
        assert fewer.body(schedule)['status'] == 'prepared'
