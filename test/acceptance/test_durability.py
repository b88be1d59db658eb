# SPDX-License-Identifier: Apache-2.0
"""What survives a gateway that was killed: records, output, ids; and what does not: processes."""

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import sqlite3
import subprocess
import time
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
from gateway_process import BASE, gateway, GatewayProcess
from killing import ENTITY, kill, kill_with_helpers, start_ready
from ros_support import bare_node
from waiting import DEADLINE_SEC

from gateway_node.child.process_tree import all_entries, descendants, read_entry
from gateway_node.clock import read_boot_id

SLEEPS = 'echo ready\nexec sleep 600\n'
LEAVES_MANY = """
(trap '' TERM INT HUP; setsid sleep 600) &
(trap '' TERM INT HUP; setsid sh -c 'sleep 600 & exit 0') &
trap '' TERM
echo ready
while :; do sleep 0.05; done
"""
DATABASE = 'gateway.sqlite3'
RESTARTED = 'x-gateway-restarted'


@pytest.fixture(scope='module', autouse=True)
def node() -> Iterator[None]:
    """Run a node in another process, whose app carries the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


def assert_restarted(execution: Any, output: str) -> None:
    """Check that an execution failed because the gateway died, and kept its output."""
    assert execution['status'] == 'failed', execution
    assert execution['error']['error_code'] == 'vendor-error'
    assert execution['error']['vendor_code'] == RESTARTED
    assert execution['error']['message']
    assert execution['output']['stdout'] == output


def events(state_dir: Path, href: str) -> list[tuple[str, str | None]]:
    """Return the kind and the cause of each event of an execution, from the one log."""
    query = 'SELECT kind, cause FROM events WHERE subject = ? ORDER BY sequence'
    path = f'file:{state_dir / DATABASE}?mode=ro'
    with contextlib.closing(sqlite3.connect(path, uri=True)) as connection:
        return connection.execute(query, (href.removeprefix(f'{BASE}/'),)).fetchall()


def test_what_ran_when_the_gateway_was_killed_failed_with_its_output(tmp_path: Path) -> None:
    """After SIGKILL in the middle: `failed`, x-gateway-restarted, and what it wrote until then."""
    with gateway(tmp_path) as api:
        href = start_ready(api, "printf 'half of ' ; echo ready\nexec sleep 600\n")
        started_at = api.body(href)['started_at']
        kill(api)
    with gateway(tmp_path) as again:
        execution = again.body(href)
        assert_restarted(execution, 'half of ready\n')
        assert execution['started_at'] == started_at
        assert execution['completed_at'] >= started_at
        assert again.request('PUT', href, json_body={'action': 'stop'}).status == 409
        assert again.request('DELETE', href).status == 204
        assert again.request('GET', href).status == 404
    assert not (tmp_path / 'state' / 'executions' / href.rpartition('/')[2]).exists()


def test_what_began_just_before_the_kill_is_not_started_again(tmp_path: Path) -> None:
    """Not even where the next gateway starts what was accepted, and no record said that it ran."""
    witness = tmp_path / 'witness'
    parameters = {'restart.start_prepared': True}
    with gateway(tmp_path, parameters) as api:
        api.wait_for_app('temp_sensor')
        script_id = api.upload(ENTITY, f'echo begun >>{witness}\nexec sleep 600\n')
        href = api.start(ENTITY, script_id)
        deadline = time.monotonic() + DEADLINE_SEC
        while not witness.exists():  # without a pause: the record comes within milliseconds
            assert time.monotonic() < deadline
        kill(api)
    with gateway(tmp_path, parameters) as again:
        execution = again.body(href)
    assert (execution['status'], execution['error']['vendor_code']) == ('failed', RESTARTED)
    assert witness.read_text() == 'begun\n'
    assert events(tmp_path / 'state', href) == [
        ('execution.accepted', 'manual'),
        ('execution.running', None),
        ('execution.ended', RESTARTED),
    ]


def test_every_kill_is_told_once(tmp_path: Path) -> None:
    """A final status never changes: further kills and starts add nothing to the history."""
    with gateway(tmp_path) as api:
        href = start_ready(api, SLEEPS)
        kill(api)
    with gateway(tmp_path) as again:
        execution = again.body(href)
        kill(again)
    with gateway(tmp_path) as third:
        assert third.body(href) == execution
    told = [
        ('execution.accepted', 'manual'),
        ('execution.running', None),
        ('execution.ended', RESTARTED),
    ]
    assert events(tmp_path / 'state', href) == told


def test_a_stop_that_was_answered_outlives_the_gateway(tmp_path: Path) -> None:
    """Once a stop was accepted, `terminated` is the final status, also over a kill."""
    with gateway(tmp_path, {'scripts.stop_grace_period_sec': 600}) as api:
        href = start_ready(api, LEAVES_MANY)
        answer = api.request('PUT', href, json_body={'action': 'stop'})
        assert (answer.status, answer.body['terminating']) == (200, True)
        kill(api)
    with gateway(tmp_path) as again:
        execution = again.body(href)
    assert execution['status'] == 'terminated'
    assert execution['stop_trigger'] == {'type': 'manual', 'setting': 'stop'}
    assert execution['output']['stdout'] == 'ready\n'


def test_nothing_is_left_when_gateway_and_supervisors_were_killed(tmp_path: Path) -> None:
    """The next start ends what nobody supervises any more, before it takes work."""
    at_its_port = {'server.port': free_port()}
    with gateway(tmp_path, at_its_port) as api:
        href = start_ready(api, LEAVES_MANY)
        pids = {each.pid for each in descendants(api.process.pid)}
        kill_with_helpers(api)
        orphans = [each for each in all_entries() if each.pid in pids and each.name == 'sleep']
        assert len(orphans) > 1
        with gateway(tmp_path, at_its_port) as again:
            living = [each.pid for each in all_entries() if not each.is_zombie]
            assert pids.isdisjoint(living)
            assert_restarted(again.body(href), 'ready\n')


@pytest.mark.parametrize('case', ['pid_given_anew', 'another_program', 'another_boot'])
def test_a_journal_that_points_at_a_stranger_kills_nobody(tmp_path: Path, case: str) -> None:
    """A bare pid is not believed: a stranger lives on, the execution fails all the same."""
    with gateway(tmp_path) as api:
        href = start_ready(api, SLEEPS)
        kill(api)
    with stranger() as pid:
        entry = read_entry(pid)
        assert entry is not None
        mark = {'pid': pid, 'start_ticks': entry.start_ticks - (case == 'pid_given_anew')}
        boot_id = 'another' if case == 'another_boot' else read_boot_id()
        state_dir = tmp_path / 'state'
        (journal,) = (state_dir / 'open').iterdir()
        noted = json.loads(journal.read_bytes())
        assert noted['execution_id'] == href.rpartition('/')[2]
        changes = {'supervisor': mark, 'script': mark, 'boot_id': boot_id}
        journal.write_text(json.dumps(noted | changes))
        (state_dir / 'spawner.json').write_text(json.dumps({'boot_id': boot_id, **mark}))
        begun = time.monotonic()
        with gateway(tmp_path) as again:
            # It waits 5 s for helpers of the dead gateway, and a stranger is none.
            assert time.monotonic() - begun < 5 * 5
            assert_restarted(again.body(href), 'ready\n')
            kill(again)


@contextlib.contextmanager
def stranger() -> Iterator[int]:
    """Run a process that is nobody's script; it must live to the end."""
    with subprocess.Popen(['sleep', '600'], start_new_session=True) as process:
        try:
            yield process.pid
            assert process.poll() is None
        finally:
            process.kill()


def test_the_history_of_a_deleted_script_is_readable(tmp_path: Path) -> None:
    """Its executions tell their version, over restarts too, and that they are outdated."""
    with gateway(tmp_path) as api:
        api.wait_for_app('temp_sensor')
        script_id = api.upload(ENTITY, 'echo one\n')
        script = f'/{ENTITY}/scripts/{script_id}'
        version = api.body(script)['version']
        assert len(bytes.fromhex(version)) == 32
        first = api.start(ENTITY, script_id)
        completed = api.wait_for_status(first, 'completed')
        assert (completed['script_version'], completed['is_outdated']) == (version, False)
        replaced = api.send_form('PUT', script, 'echo two\n').body['version']
        second = api.start(ENTITY, script_id)
        completed = api.wait_for_status(second, 'completed')
        assert (completed['script_version'], completed['is_outdated']) == (replaced, False)
        assert api.body(first)['is_outdated'] is True
        assert api.request('DELETE', script).status == 204
        kill(api)
    with gateway(tmp_path) as again:
        shown = {each['href']: each for each in again.body(f'{script}/executions')['items']}
        assert list(shown) == [second, first]
        for href, kept, output in ((first, version, 'one\n'), (second, replaced, 'two\n')):
            execution = again.body(href)
            assert execution['output']['stdout'] == output
            assert execution['parameters']['stdout'] == output
            assert (execution['script_version'], execution['is_outdated']) == (kept, True)
            assert shown[href]['is_outdated'] is True
        assert again.request('GET', script).status == 404
        assert again.request('DELETE', first).status == 204


def test_the_history_of_an_app_that_is_gone_is_readable(tmp_path: Path) -> None:
    """An app whose node went stays, offline, with its id, its scripts and its executions."""
    with bare_node('visitor'), gateway(tmp_path) as api:
        api.wait_for_app('visitor')
        href = api.start('apps/visitor', api.upload('apps/visitor', 'echo seen\n'))
        api.wait_for_status(href, 'completed')
        kill(api)
    with gateway(tmp_path) as again:
        again.wait_for_app('visitor', online=False)
        execution = again.body(href)
        assert (execution['status'], execution['output']['stdout']) == ('completed', 'seen\n')
        assert execution['is_outdated'] is False
        assert again.body('/apps/visitor')['online'] is False
        script = href.split('/executions/')[0]
        assert [each['href'] for each in again.body(f'{script}/executions')['items']] == [href]


def test_an_id_stays_with_its_node_over_restarts(tmp_path: Path) -> None:
    """Two nodes of one name keep their ids, whichever of them the next gateway meets first."""
    with gateway(tmp_path) as api:
        with bare_node('lidar', '/front'):
            api.wait_for_app('lidar')
            with bare_node('lidar', '/rear'):
                api.wait_for_app('rear_lidar')
                kept = {each: name_of(api, each) for each in ('lidar', 'rear_lidar')}
        kill(api)
    assert kept == {'lidar': '/front/lidar', 'rear_lidar': '/rear/lidar'}
    with gateway(tmp_path) as again, bare_node('lidar', '/rear'):
        again.wait_for_app('rear_lidar')
        again.wait_for_app('lidar', online=False)
        assert {each: name_of(again, each) for each in kept} == kept


def name_of(api: GatewayProcess, app_id: str) -> str:
    """Return the fully qualified name of an app's node."""
    return str(api.body(f'/apps/{app_id}')['fully_qualified_name'])


def test_a_corrupt_database_or_script_is_set_aside_and_shown(tmp_path: Path) -> None:
    """The gateway starts without it; it is kept, and named in the log and in /health."""
    with gateway(tmp_path) as api:
        href = start_ready(api, SLEEPS)
    database = tmp_path / 'state' / DATABASE
    kept = database.with_name(f'{DATABASE}.corrupt-1')
    rubbish = b'no database ' * 1000
    database.write_bytes(rubbish)
    with gateway(tmp_path) as again:
        assert_set_aside(again, kept)
        assert f'is kept as {kept}' in again.log
        assert again.request('GET', href).status == 404
        href = start_ready(again, 'echo ready\nsleep 0.2\n')
        again.wait_for_status(href, 'completed')
        kill(again)
    scripts = tmp_path / 'state' / 'scripts'
    [record] = (path for path in scripts.glob('*/script.json') if path.parent.name in href)
    record.write_text('no record')
    with gateway(tmp_path) as third:
        assert_set_aside(third, kept, scripts / '.damaged')
        assert 'is kept as' not in third.log
        assert third.body(href)['status'] == 'completed'
    assert kept.read_bytes() == rubbish


def assert_set_aside(api: GatewayProcess, *kept: Path) -> None:
    """Check that /health says of each thing that was set aside where it is, and no more."""
    health = api.body('/health')
    assert health['status'] == 'degraded'
    assert len(health['warnings']) == len(kept)
    for path, warning in zip(kept, health['warnings'], strict=True):
        assert str(path) in warning


def test_what_is_kept_is_for_the_gateways_user_alone(tmp_path: Path) -> None:
    """Whatever the umask, and where an earlier gateway left it open: parameters are in there."""
    state = tmp_path / 'state'
    database = {state / f'{DATABASE}{suffix}' for suffix in ('', '-wal', '-shm')}
    with gateway(tmp_path) as api:
        start_ready(api, 'echo ready; exec sleep 600\n')
        # Its end would remove two of those files.
        kill(api)
    for path in (state, *database, state / 'scripts', state / 'executions'):
        path.chmod(path.stat().st_mode | 0o055)
    umask = os.umask(0)
    try:
        with gateway(tmp_path) as again:
            href = start_ready(again, 'echo secret >&2; echo ready; exec sleep 600\n')
            assert {path for path in database if path.exists()} == database
            open_to_others = {
                str(path): oct(path.lstat().st_mode)
                for path in (state, *state.rglob('*'))
                if path.lstat().st_mode & 0o077 and not path.is_symlink()
            }
            again.request('PUT', href, json_body={'action': 'forced_termination'})
    finally:
        os.umask(umask)
    assert open_to_others == {}
