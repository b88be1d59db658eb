# SPDX-License-Identifier: Apache-2.0
"""The Python client against a whole gateway."""

from collections.abc import Iterator
import contextlib
from datetime import datetime, timedelta, UTC
import json
from pathlib import Path

from gateway_in_a_thread import ENTITY, gateway_in_a_thread
import pytest
from waiting import DEADLINE_SEC, wait_for

from gateway_node.client import (
    AccessDenied,
    Conflict,
    Dropped,
    Execution,
    Gateway,
    InvalidRequest,
    LimitReached,
    Line,
    NotFound,
    PreconditionNotFulfilled,
    Progress,
    Refused,
    Script,
    Status,
    StillOpen,
)

SLEEPS = b'echo begun\nexec sleep 3600\n'


@pytest.fixture(scope='module')
def code_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file in which codes are shown to who is beside the robot."""
    return tmp_path_factory.mktemp('cell') / 'code.json'


@pytest.fixture(scope='module')
def address(tmp_path_factory: pytest.TempPathFactory, code_file: Path) -> Iterator[str]:
    """Serve a gateway for all tests of this file."""
    parameters = {
        'python.warm': False,
        'scripts.max_concurrent_executions_per_entity': 5,
        'restart.max_schedules': 1,
        'proximity.command': ['sh', '-c', 'cat > "$0"', str(code_file)],
    }
    with gateway_in_a_thread(tmp_path_factory.mktemp('state'), parameters) as address:
        yield address


@pytest.fixture
def gateway(address: str) -> Iterator[Gateway]:
    """Give a client, and stop at the end what it started."""
    with Gateway(f'http://{address}') as gateway:
        yield gateway
        for execution in gateway.stop_all():
            gateway.wait(execution, DEADLINE_SEC)


def uploaded(gateway: Gateway, content: str | bytes, name: str = 'check.sh') -> Script:
    """Upload a script."""
    content = content if isinstance(content, bytes) else content.encode()
    return gateway.upload(ENTITY, content, file_name=name)


def test_the_apps_and_the_components_are_the_entities(gateway: Gateway) -> None:
    """Each by the path that everything else takes."""
    entities = {each.path: each for each in gateway.entities()}
    assert entities[ENTITY].name == 'temp_sensor'
    assert entities[ENTITY].online
    assert 'components/powertrain_engine' in entities


def test_why_a_script_would_not_start_is_told_without_a_start(gateway: Gateway) -> None:
    """Each need with what would have to change."""
    assert gateway.readiness(ENTITY, uploaded(gateway, 'true\n')).ready
    script = gateway.upload(ENTITY, b'true\n', file_name='a.sh', confirmation='The arm moves.')
    readiness = gateway.readiness(ENTITY, script.id, execution_type='on_restart')
    (need,) = (each for each in readiness.needs if not each.ready)
    assert (readiness.ready, need.reason) == (False, 'confirmation')
    assert 'confirmed' in (need.message or '')


def test_an_instance_is_made_started_stopped_and_gone(gateway: Gateway) -> None:
    """With what it says; one execution of it is open at a time."""
    instances = gateway.instances(ENTITY, gateway.upload(ENTITY, SLEEPS, file_name='a.sh'))
    trigger = {'condition': {'interval_sec': 86400}}
    made = instances.create('daily', {'start_triggers': [trigger], 'enabled': False})
    assert (made.name, made.enabled, made.managed, made.fault) == ('daily', False, False, None)
    assert instances.enable('daily').enabled
    assert not instances.enable('daily', enabled=False).enabled
    assert instances.replace('daily', {'description': 'By hand.'}).version != made.version
    execution = instances.start('daily')
    assert [each.execution_id for each in instances.all()] == [execution.id]
    with pytest.raises(Conflict):
        instances.start('daily')
    with pytest.raises(Conflict):
        instances.delete('daily')
    instances.stop('daily')
    assert gateway.wait(execution, DEADLINE_SEC).fields['instance'] == 'daily'
    instances.delete('daily')
    with pytest.raises(NotFound):
        instances.get('daily')
    with pytest.raises(InvalidRequest) as refused:
        instances.create('daily', {'priority': 1000, 'colour': 'red'})
    told = refused.value.parameters['violations']
    assert {each['path'] for each in told} == {'/body/priority', '/body/colour'}


def test_what_the_robot_is_not_comes_with_the_refusal(gateway: Gateway) -> None:
    """A program tells from that what to wait for."""
    needs = [{'condition': {'node': '/arm'}, 'description': 'Arm first.', 'max_age_sec': 0.1}]
    script = gateway.upload(ENTITY, b'true\n', file_name='a.sh', preconditions=needs)
    with pytest.raises(PreconditionNotFulfilled) as refused:
        gateway.start(ENTITY, script)
    (unmet,) = refused.value.unmet
    assert (unmet.entity, unmet.path, unmet.description) == (
        ENTITY, '/preconditions/0', 'Arm first.'
    )  # fmt: skip
    assert 'node /arm' in unmet.wanted
    assert (unmet.value, unmet.age_sec) == (None, None)
    assert unmet.why


def test_what_was_around_an_execution_is_told_and_how_it_compares(gateway: Gateway) -> None:
    """As the gateway answers both; by the execution or its id."""
    script = gateway.upload(ENTITY, b'exit "$PARAM_CODE"\n', file_name='a.sh', evidence='always')
    first = gateway.wait(gateway.start(ENTITY, script, {'code': 0}))
    second = gateway.wait(gateway.start(ENTITY, script, {'code': 3}))

    def kept() -> str:
        with contextlib.suppress(NotFound):
            return str(gateway.evidence(second)['execution'])
        return ''

    wait_for(kept, bool, what='evidence')
    assert kept() == second.id
    compared = gateway.comparison(second.id)
    assert compared['other']['id'] == first.id
    assert compared['parameters']['differences'] == [
        {'path': '/parameters/code', 'this': 3, 'other': 0}
    ]
    assert gateway.comparison(first, second)['other']['id'] == second.id


def test_what_has_to_be_confirmed_comes_with_the_refusal(gateway: Gateway) -> None:
    """A program shows it to a person, and says then that it is confirmed."""
    script = gateway.upload(ENTITY, b'true\n', file_name='a.sh', confirmation='The arm moves.')
    with pytest.raises(PreconditionNotFulfilled) as refused:
        gateway.start(ENTITY, script, {'speed': 1})
    assert refused.value.parameters['confirmation'] == 'The arm moves.'
    assert refused.value.parameters['input_parameters'] == {'speed': 1}
    ended = gateway.wait(gateway.start(ENTITY, script, confirmed=True), DEADLINE_SEC)
    again = gateway.retry(ended, confirmed=True)
    assert gateway.wait(again, DEADLINE_SEC).status is Status.COMPLETED


def test_a_challenge_comes_with_the_refusal_and_is_answered_in_the_next_start(
    gateway: Gateway, code_file: Path
) -> None:
    """By who reads the code beside the robot; once."""
    script = gateway.upload(ENTITY, b'true\n', file_name='a.sh', proximity_proof_required=True)
    with pytest.raises(PreconditionNotFulfilled) as refused:
        gateway.start(ENTITY, script)
    shown = json.loads(code_file.read_text())
    asked = refused.value.parameters['proximity_challenge']
    assert asked['challenge'] == shown['challenge']
    started = gateway.start(ENTITY, script, proximity_response=shown['code'])
    assert gateway.wait(started, DEADLINE_SEC).status is Status.COMPLETED
    with pytest.raises(AccessDenied):
        gateway.start(ENTITY, script, proximity_response=shown['code'])


def test_an_upload_has_what_the_file_and_the_metadata_say(
    gateway: Gateway, tmp_path: Path
) -> None:
    """By its path a file has its own name."""
    file = tmp_path / 'two "words".sh'
    file.write_bytes(b'true\r\n\0\n')
    script = gateway.upload(ENTITY, file, name='Brakes', tags=['brakes'])
    assert (script.name, script.entity, script.kind) == ('Brakes', ENTITY, 'sh')
    assert script.fields['size'] == 8
    assert [each.id for each in gateway.scripts(ENTITY, tag='brakes')] == [script.id]
    gateway.delete_script(script)
    assert not list(gateway.scripts('apps/*', name='Brakes'))


def test_content_needs_a_file_name(gateway: Gateway) -> None:
    """The name tells how a script is run."""
    with pytest.raises(ValueError, match='file_name'):
        gateway.upload(ENTITY, b'true\n')


def test_all_pages_of_scripts_are_followed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is there once."""
    monkeypatch.setattr('gateway_node.client.listings._SCRIPTS_A_PAGE', 2)
    made = [uploaded(gateway, f'exit {number}', f'page_{number}.sh').id for number in range(5)]
    found = [script.id for script in gateway.scripts()]
    assert set(made) <= set(found)
    assert len(found) == len(set(found))


def test_a_script_is_started_on_several_entities(gateway: Gateway) -> None:
    """By its name; who waits for the parent has waited for all."""
    name = 'started on several'
    for entity in (ENTITY, 'components/powertrain_engine'):
        gateway.upload(entity, b'cat\n', file_name='check.sh', name=name)
    parent = gateway.start_on(['*/*'], name, {'depth': 3}, max_parallel=1, timeout_sec=60)
    *_, told = gateway.follow(parent)
    ended = gateway.wait(parent)
    assert (told, ended.status) == (ended, Status.COMPLETED)
    assert ended.fields['children']['total'] == 2
    children = [gateway.execution(each) for each in gateway.executions(parent=parent.id)]
    assert [each.parameters for each in children] == [{'depth': 3}] * 2
    assert {each.entity for each in children} == {ENTITY, 'components/powertrain_engine'}
    one = gateway.start_on(ENTITY, name)
    assert gateway.wait(one).fields['children']['total'] == 1


def test_what_has_ended_is_started_again(gateway: Gateway) -> None:
    """With what it was given then, or with something else."""
    script = uploaded(gateway, 'cat')
    first = gateway.wait(gateway.start(ENTITY, script, {'depth': 3}))
    again = gateway.wait(gateway.retry(first))
    assert (again.parent, again.parameters) == (first.id, {'depth': 3})
    assert gateway.wait(gateway.retry(first.id, {'depth': 4})).parameters == {'depth': 4}
    running = gateway.start(ENTITY, uploaded(gateway, SLEEPS))
    with pytest.raises(Conflict):
        gateway.retry(running)


def test_what_waits_in_line_is_told_moved_and_held(gateway: Gateway) -> None:
    """A line that is paused lets nobody in, until it goes on."""
    script = uploaded(gateway, 'true')
    assert gateway.pause_line(ENTITY).paused
    try:
        assert not gateway.line().paused
        brief = gateway.wait(gateway.start(ENTITY, script, expires_in_sec=0.01))
        assert brief.error is not None
        assert brief.error.vendor_code == 'x-gateway-expired'
        later = datetime.now(UTC) + timedelta(hours=1)
        low = gateway.start(ENTITY, script, priority=10, expires_at=later)
        high = gateway.start(ENTITY, script, priority=20)
        assert gateway.execution(low).queue_position == 2
        assert gateway.prioritise(low, 30).queue_position == 1
        assert gateway.line(ENTITY).waiting == 2
        with pytest.raises(LimitReached):
            gateway.start(ENTITY, script, queue=False)
    finally:
        assert not gateway.pause_line(ENTITY, paused=False).paused
    assert {gateway.wait(each).status for each in (low, high)} == {Status.COMPLETED}
    assert gateway.execution(low).queue_position is None
    with pytest.raises(Conflict):
        gateway.prioritise(low, 40)


def test_what_else_a_start_takes_is_asked_for(gateway: Gateway) -> None:
    """Here what is refused."""
    script = uploaded(gateway, 'true')
    with pytest.raises(InvalidRequest, match=r'callbacks\.allowed'):
        gateway.start(ENTITY, script, callback='http://192.0.2.7/ended')
    with pytest.raises(InvalidRequest) as refused:
        gateway.start(ENTITY, script, timeout_sec=1e9, priority=101)
    paths = {each['path'] for each in refused.value.parameters['violations']}
    assert paths == {'/body/timeout_sec', '/body/priority'}


def test_an_execution_is_started_and_waited_for(gateway: Gateway) -> None:
    """What is answered at its end has all that came of it."""
    script = uploaded(gateway, 'cat; echo oops >&2')
    accepted = gateway.start(ENTITY, script, {'depth': 3}, arguments=['a', 'b'])
    assert accepted.status is Status.PREPARED
    ended = gateway.wait(accepted.id)
    assert ended.has_ended
    assert ended.status is Status.COMPLETED
    assert (ended.parameters, ended.stdout, ended.stderr) == (
        {'depth': 3},
        '{"depth": 3}\n',
        'oops\n',
    )
    assert ended.fields['arguments'] == ['a', 'b']
    assert ended.created_at is not None
    assert ended.completed_at is not None
    assert timedelta(0) <= ended.completed_at - ended.created_at < timedelta(minutes=5)


def test_a_failed_execution_tells_its_error(gateway: Gateway) -> None:
    """As a GenericError."""
    ended = gateway.wait(gateway.start(ENTITY, uploaded(gateway, 'exit 3')))
    assert (ended.status, ended.exit_code) == (Status.FAILED, 3)
    assert ended.error is not None
    assert ended.error.vendor_code == 'x-gateway-script-failed'
    assert ended.error.parameters['exit_code'] == 3


def test_who_waits_may_have_enough(gateway: Gateway) -> None:
    """The execution goes on."""
    execution = gateway.start(ENTITY, uploaded(gateway, SLEEPS))
    with pytest.raises(StillOpen, match=f'{execution.id} has not ended within 0.1 s'):
        gateway.wait(execution, 0.1)
    assert not gateway.execution(execution).has_ended


def test_following_tells_status_progress_and_each_line_once(gateway: Gateway) -> None:
    """In the order in which they come, the end last."""
    script = uploaded(
        gateway, 'echo one\necho 40 >&3\nread -r _\nsleep 0.3\necho two >&2\nprintf three'
    )
    events = list(gateway.follow(gateway.start(ENTITY, script)))
    lines = [(each.number, each.stream, each.text) for each in events if isinstance(each, Line)]
    assert lines == [(1, 'stdout', 'one'), (2, 'stderr', 'two'), (3, 'stdout', 'three')]
    assert Progress(percent=40, message=None) in events
    executions = [each for each in events if isinstance(each, Execution)]
    assert [each.status for each in executions][-2:] == [Status.RUNNING, Status.COMPLETED]
    assert events[-1] is executions[-1]
    assert executions[-1].stderr == 'two\n'


def test_lines_come_while_the_script_runs(gateway: Gateway) -> None:
    """Not only once it has ended."""
    execution = gateway.start(ENTITY, uploaded(gateway, SLEEPS))
    assert next(iter(gateway.lines(execution))).text == 'begun'
    assert not gateway.execution(execution).has_ended


def test_what_is_not_kept_of_an_output_is_told_in_its_place(gateway: Gateway) -> None:
    """Every number is told once, as a line or as dropped."""
    script = uploaded(gateway, 'seq 1 60000')
    ended = gateway.wait(gateway.start(ENTITY, script))
    numbers: list[int] = []
    for event in gateway.follow(ended):
        if isinstance(event, Line):
            numbers.append(event.number)
        elif isinstance(event, Dropped):
            numbers += range(event.first, event.last + 1)
    assert numbers == list(range(1, 60001))


def test_a_stop_ends_an_execution_once(gateway: Gateway) -> None:
    """What has ended cannot be stopped."""
    execution = gateway.start(ENTITY, uploaded(gateway, SLEEPS))
    gateway.stop(execution, forced=True)
    assert gateway.wait(execution).status is Status.TERMINATED
    with pytest.raises(Conflict, match='409'):
        gateway.stop(execution)


def test_stop_all_stops_what_this_client_started_and_nothing_else(
    gateway: Gateway, address: str
) -> None:
    """What has ended by then is no error."""
    script = uploaded(gateway, SLEEPS)
    ended = gateway.start(ENTITY, uploaded(gateway, 'true'))
    mine = [gateway.start(ENTITY, script) for _ in range(2)]
    wait_for(lambda: gateway.execution(ended.id), lambda seen: seen.has_ended, what='its end')
    with Gateway(f'http://{address}/api/v1/') as another:
        others = another.start(ENTITY, script)
        assert {each.id for each in gateway.stop_all()} == {each.id for each in mine}
        assert all(gateway.wait(each).status is Status.TERMINATED for each in mine)
        assert not gateway.stop_all()
        assert not gateway.execution(others).has_ended
        another.stop_all()


def test_stop_all_stops_the_schedule_that_came_with_a_start(gateway: Gateway) -> None:
    """It would start the script once more with the gateway."""
    script = uploaded(gateway, 'true')
    started = gateway.start(ENTITY, script, execution_type='now_and_on_restart')
    gateway.wait(started)
    (schedule,) = gateway.stop_all()
    assert (schedule.id != started.id, schedule.status) == (True, Status.TERMINATED)
    assert not list(gateway.executions(script=script.id, status=['prepared', 'running']))


def test_executions_are_found_page_by_page(gateway: Gateway) -> None:
    """By the names of the API: texts with commas, several values, moments, parameters."""
    script = gateway.upload(ENTITY, b'true\n', file_name='check.sh', name='a, b\\c', tags=['x,y'])
    before = datetime.now(UTC) - timedelta(hours=1)
    ids = [
        gateway.wait(gateway.start(ENTITY, script, {'mode': f'a,{number % 2}', 'deep': [1]})).id
        for number in range(5)
    ]
    found = gateway.executions(script='a, b\\c', tag='x,y', status=['completed', 'failed'])
    assert [each.id for each in found] == sorted(ids, reverse=True)
    paged = gateway.executions(script=script.id, limit=-2, created_after=before, scheduled=False)
    assert [each.id for each in paged] == sorted(ids, reverse=True)
    chosen = gateway.executions(script=script.id, parameter={'mode': 'a,1', 'deep': [1]})
    assert sorted(each.id for each in chosen) == [ids[1], ids[3]]
    first = next(gateway.executions(script=script.id))
    assert (first.id, first.entity, first.script_id) == (ids[-1], ENTITY, script.id)
    gateway.delete(first)
    with pytest.raises(NotFound):
        gateway.execution(first)


def test_a_refusal_has_the_class_of_its_status_and_what_the_gateway_says(
    gateway: Gateway,
) -> None:
    """As it stands in the GenericError, all violations among it."""
    with pytest.raises(InvalidRequest) as refused:
        list(gateway.executions(status='gone', colour='red'))
    assert (refused.value.status, refused.value.error_code) == (400, 'invalid-parameter')
    paths = [each['path'] for each in refused.value.parameters['violations']]
    assert sorted(paths) == ['/query/colour', '/query/status']
    with pytest.raises(NotFound, match='nobody') as missing:
        gateway.start('apps/nobody', 'check')
    assert missing.value.retry_after_sec is None


def test_a_limit_tells_when_to_come_again(gateway: Gateway) -> None:
    """In seconds."""
    script = uploaded(gateway, 'true')
    schedule = gateway.start(ENTITY, script, execution_type='on_restart')
    with pytest.raises(LimitReached) as refused:
        gateway.start(ENTITY, script, execution_type='on_restart')
    assert refused.value.vendor_code == 'x-gateway-limit-reached'
    assert refused.value.retry_after_sec is not None
    assert isinstance(refused.value, Refused)
    assert gateway.stop_all() == [gateway.execution(schedule)]
