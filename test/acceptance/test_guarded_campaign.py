# SPDX-License-Identifier: Apache-2.0
"""All walls at once, TLS, tokens, roles, locks, proofs and the audit, while clients of all kinds
ask for anything and the gateway is killed at any moment."""

from collections import Counter
from collections.abc import Iterator
import contextlib
import http.client
import json
import os
from pathlib import Path
import secrets
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from audit_notes import notes_in, of_the_request, was_under_way
from gateway_process import GatewayProcess, nothing_left
from guarded_robot import ENTITIES, GuardedRobot, PEOPLE
from guests import Person
from kill_campaign import COMPONENT, FINAL, id_of
from patient_follower import PatientFollower
from ros_support import bare_node, status_echo

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import Role
from gateway_node.http_server.routes import ROUTES

SEED = 'GUARDED_CAMPAIGN_SEED'
TOPIC = '/gateway_node/execution_status'
LEAST = {(route.method, route.path): route.role for route in ROUTES}
NEEDS = {
    'execution.accepted': Role.OPERATOR,
    'execution.stop_accepted': Role.OPERATOR,
    'execution.deleted': Role.OPERATOR,
    'script.uploaded': Role.CONFIGURATOR,
    'script.replaced': Role.CONFIGURATOR,
    'script.deleted': Role.CONFIGURATOR,
    'lock.acquired': Role.OPERATOR,
    'lock.extended': Role.OPERATOR,
    'lock.released': Role.OPERATOR,
    'lock.broken': Role.ADMIN,
}
"""What somebody may do to the robot, and the least role for it."""


@pytest.fixture(scope='module', autouse=True)
def node() -> Iterator[None]:
    """Run the node whose entities carry the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


@pytest.mark.timeout(240)
def test_all_walls_hold_over_a_few_kills(tmp_path: Path) -> None:
    """Nobody does what they may not, no secret shows, and the audit has each change once."""
    campaign(tmp_path, cycles=2)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_all_walls_hold_over_many_kills(tmp_path: Path) -> None:
    """Nor do many kills together wear any of it away."""
    campaign(tmp_path, cycles=40)


def campaign(folder: Path, *, cycles: int) -> None:
    """Kill a guarded gateway `cycles` times, then judge all that was done and told."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    robot = GuardedRobot(folder, seed)
    root = follower(robot, 'root')
    anna = follower(robot, 'anna')
    try:
        with nothing_left(), robot.leftovers, root.following(), anna.following():
            with status_echo(TOPIC) as told:
                for _ in range(cycles):
                    be_asked_and_killed(robot)
                live_to_the_end(robot, root)
            assert robot.processes() == {}
        robot.check_histories()
        check_streams(robot, root, anna)
        check_secrets(robot, [*told, *map(vars, root.seen), *map(vars, anna.seen)])
        check_audit(robot)
        check_doings(robot)
        check_that_nothing_is_left(robot)
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise


def follower(robot: GuardedRobot, name: str) -> PatientFollower:
    """Return who follows all that this person may hear of."""
    return PatientFollower(
        robot.port, robot.random.random(), token=robot.tokens[name], trust=robot.trust
    )


def be_asked_and_killed(robot: GuardedRobot) -> None:
    """Let people ask this and that of one gateway, and kill it."""
    with robot.life() as (process, log):
        api = robot.wait_serving(process, log)
        if not robot.script_ids:
            robot.upload_scripts(api)
        with robot.clients(api):
            over = time.monotonic() + robot.random.uniform(1.0, 3.0)  # the moment of the kill
            while time.monotonic() < over:
                assert robot.seeds.found_in_processes() == []
            robot.kill(process)
    robot.check_histories()


def live_to_the_end(robot: GuardedRobot, root: PatientFollower) -> None:
    """Let a last gateway bring all to its end."""
    with robot.life() as (process, log):
        api = robot.guest(robot.wait_serving(process, log), 'root')
        robot.unlock_all(api)
        wait_for(
            lambda: robot.rows('SELECT id, status FROM executions'),
            lambda rows: all(status in FINAL for _, status in rows),
            what='all executions have ended',
        )
        check_credentials_of_scripts(robot, api)
        (last,) = robot.rows('SELECT MAX(sequence) FROM events')[0]
        wait_for(
            lambda: root.sequences[-1:], lambda seen: seen >= [last], what='the last event is told'
        )
        process.terminate()
        assert process.wait(45) == 0


def check_credentials_of_scripts(robot: GuardedRobot, api: GatewayProcess) -> None:
    """What a script had to show is worth nothing once it has ended, at either port."""
    wait_for(
        lambda: [*robot.state_dir.glob('credentials/*')],
        lambda files: files == [],
        what='no file of credentials is left',
    )
    shown = robot.know_credentials_of_scripts()
    assert shown
    for url, token in shown[-3:]:
        stranger = robot.guest(api, 'nobody', token=token, address='127.0.0.4')
        assert stranger.request('GET', '/executions').status == 401
        parts = urlsplit(url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        # Of a life before, the port may be closed.
        with contextlib.closing(connection), contextlib.suppress(ConnectionRefusedError):
            headers = {'Authorization': f'Bearer {token}'}
            connection.request('GET', f'{parts.path}/executions', headers=headers)
            assert connection.getresponse().status == 401


def check_streams(robot: GuardedRobot, root: PatientFollower, anna: PatientFollower) -> None:
    """Each heard of all that they may, once and in order, and of nothing else."""
    logged = robot.rows('SELECT sequence, subject FROM events ORDER BY sequence')
    seen = root.sequences
    assert seen == [sequence for sequence, _ in logged if sequence >= seen[0]]
    heard = anna.sequences
    assert heard == sorted(set(heard))
    subjects = dict(logged)
    assert {entity_of(subjects[each]) for each in heard} <= {ENTITIES[0]}
    # What a script prints is shown with it, of other entities too: an error has the end of that.
    told = [{**each.payload, 'error': None} for each in anna.seen]
    assert COMPONENT not in json.dumps(told)


def check_secrets(robot: GuardedRobot, told: list[Any]) -> None:
    """No token, code or secret is in any file, answer, event or message."""
    (robot.folder / 'told.json').write_text(json.dumps(told), encoding='utf-8')
    planted = robot.folder / 'planted'
    planted.write_text(robot.tokens['vera'], encoding='utf-8')
    assert robot.seeds.found_below(robot.folder) == [str(planted)]


def check_audit(robot: GuardedRobot) -> None:
    """Each change that was answered is in it once, in a sequence without holes."""
    notes = notes_in(robot.state_dir)
    sequences = [note['sequence'] for note in notes]
    assert sequences == [*range(1, len(notes) + 1)]
    ended = [note for note in notes if note['kind'] == 'request' and 'begun' in note]
    begun = {note['sequence']: note for note in notes if note['kind'] == 'begun'}
    assert len({note['begun'] for note in ended}) == len(ended)
    for note in ended:
        wish = begun[note['begun']]
        assert wish['sequence'] < note['sequence']
        assert of_the_request(wish).items() <= note.items(), note
        if 'name' in note and note.get('status', 500) < 400:
            least = LEAST[note['method'], note['route']]
            assert PEOPLE[note['name']].role.includes(least), note
    # A script, which acts as the client that had it started, is told apart by its execution.
    noted = Counter(
        (tag, note['status'])
        for note in ended
        for tag in {note.get('client_id'), note.get('result')} - {None}
        if 'status' in note and 'by_execution' not in note
    )
    assert robot.heard.changes
    for asked in robot.heard.changes:
        assert noted[asked.tag, asked.status] == 1, asked


def check_doings(robot: GuardedRobot) -> None:
    """Nobody did what their role, their globs or who holds a lock forbid."""
    assert robot.heard.faults == []
    held: dict[str, Any] = {}
    names: dict[str, str | None] = {}
    rows = robot.rows('SELECT kind, subject, actor, changes FROM events ORDER BY sequence')
    for kind, subject, actor, changes in rows:
        entity, told = entity_of(subject), json.loads(changes)
        if kind == 'execution.accepted':
            names[id_of(subject)] = told['script_name']
        if actor is not None and kind in NEEDS:
            person = PEOPLE[json.loads(actor)['name']]
            check_rights(person, kind, entity, names.get(id_of(subject)))
            if not kind.startswith('lock.'):
                check_locks(robot, held, person.name, entity)
        if kind == 'lock.acquired':
            assert entity not in held
            held[entity] = told
        elif kind in ('lock.released', 'lock.broken', 'lock.expired'):
            del held[entity]
    assert held == {}
    kinds = Counter(kind for kind, *_ in rows)
    # In few lives chance may have little happen.
    assert kinds['execution.accepted'], kinds
    assert kinds['lock.broken'] or len(robot.served) < 10, kinds


def check_rights(person: Person, kind: str, entity: str, script_name: str | None) -> None:
    """Check that somebody may do this to an entity, or to an execution of a script there."""
    assert person.role.includes(NEEDS[kind]), (kind, person)
    ref = ref_of(entity)
    assert person.scope.has_entity(ref), (kind, entity, person)
    if kind.startswith('execution.'):
        seen = person.scope.has_script(ref, '', name=script_name, tags=())
        assert seen, (kind, script_name, person)


def check_locks(robot: GuardedRobot, held: dict[str, Any], name: str, entity: str) -> None:
    """Check that nobody else held an entity; what was under way when they got it may go on."""
    for each in {entity, COMPONENT} & held.keys():
        lock = held[each]
        if lock['holder']['name'] != name:
            notes = notes_in(robot.state_dir)
            assert was_under_way(notes, name, entity, lock['id']), (name, entity, lock)


def entity_of(subject: str) -> str:
    """Return the path of the entity of what something happened to."""
    return '/'.join(subject.split('/')[:2])


def ref_of(entity: str) -> EntityRef:
    """Return the entity of a path."""
    collection, entity_id = entity.split('/')
    kind = EntityType.APP if collection == 'apps' else EntityType.COMPONENT
    return EntityRef(entity_type=kind, entity_id=entity_id)


def check_that_nothing_is_left(robot: GuardedRobot) -> None:
    """No port is taken, no file of credentials is there, and nothing failed unseen."""
    for log in robot.folder.glob('log_*'):
        assert 'Traceback' not in log.read_text(encoding='utf-8')
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(('127.0.0.1', robot.port))
    assert [*robot.state_dir.glob('credentials/*')] == []
