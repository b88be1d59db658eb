# SPDX-License-Identifier: Apache-2.0
"""Instances of scripts as they are described: in a request, in the manifest, and in the store."""

import datetime
import math
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Role
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.rights import Rights
from gateway_node.executions.scopes import Scope
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.errors import InstanceRefused
from gateway_node.scripts.instance_schema import instance_schema
from gateway_node.scripts.instances import (
    InstanceDefinition,
    OnLimit,
    parse_instance,
    WhileDown,
)
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.triggers.instance_documents import kept_form, kept_instance, Switch
from gateway_node.triggers.values import Instance

HOT = {'topic': '/temperature', 'field': 'celsius', 'above': 60, 'for': 5}
COLD = {'topic': '/temperature', 'field': 'celsius', 'below': 40}
FULL: dict[str, Any] = {
    'name': 'when_hot',
    'description': 'Looks after the fan.',
    'parameters': {'fan': 2},
    'arguments': ['--quick'],
    'timeout_sec': 12.5,
    'priority': 70,
    'start_triggers': [
        {
            'condition': HOT,
            'min_interval_sec': 60,
            'while_down': 'ignore',
            'on_limit': 'drop',
        },
        {'condition': {'interval_sec': 3600}},
    ],
    'stop_triggers': [{'condition': COLD}],
    'preconditions': [{'condition': {'node': '/fan'}}],
    'evidence': 'on_failure',
    'enabled': False,
    'confirmed': True,
}
ENTITY = EntityRef.from_path('apps/arm')
REF = InstanceRef(entity=ENTITY, script_id='check', name='when_hot')
NOW = datetime.datetime(2026, 7, 25, 10, tzinfo=datetime.UTC)


def read(document: object, name: str | None = None) -> InstanceDefinition:
    return parse_instance(document, name=name, max_rate_hz=20.0)


def violations_of(document: object, name: str | None = None) -> dict[str, str]:
    with pytest.raises(InstanceRefused) as caught:
        read(document, name)
    return {each.path: each.reason for each in caught.value.violations}


def test_a_document_says_all_that_an_instance_is() -> None:
    """Each of its members is read, and told again as it was given."""
    definition = read(FULL)
    first, second = definition.start_triggers
    assert (first.min_interval_sec, first.while_down, first.on_limit) == (
        60,
        WhileDown.IGNORE,
        OnLimit.DROP,
    )
    assert (second.min_interval_sec, second.while_down, second.on_limit) == (
        0,
        WhileDown.FIRE,
        OnLimit.WAIT,
    )
    assert definition.document() == FULL
    assert read(definition.document()) == definition


def test_a_name_is_all_that_an_instance_needs() -> None:
    """What is not said, or is null, is so by default."""
    nothing = dict.fromkeys(FULL)
    assert read({'name': 'plain'}) == read(nothing | {'name': 'plain'})
    assert read({'name': 'plain'}).document() == {'name': 'plain'}


def test_all_that_is_wrong_is_told_at_once() -> None:
    """By JSON Pointer, with the value and what is allowed."""
    told = violations_of(
        {
            'name': 'no/slash',
            'description': 7,
            'parameters': [],
            'arguments': ['a\0b', 3],
            'timeout_sec': -1,
            'priority': 101,
            'start_triggers': [
                {'condition': {'topic': '/t', 'above': 'hot'}, 'while_down': 'sleep'},
                {'on_limit': 'wait'},
                7,
            ],
            'stop_triggers': [{'condition': COLD, 'on_limit': 'wait'}],
            'enabled': 'yes',
            'colour': 'red',
        }
    )
    assert set(told) >= {
        '/name',
        '/description',
        '/parameters',
        '/arguments/0',
        '/arguments/1',
        '/timeout_sec',
        '/priority',
        '/start_triggers/0/while_down',
        '/start_triggers/1/condition',
        '/start_triggers/2',
        '/stop_triggers/0/on_limit',
        '/enabled',
        '/colour',
    }
    assert any(path.startswith('/start_triggers/0/condition') for path in told)
    assert told['/priority'] == 'is 101; allowed: a number from 0 to 100'
    assert "is 'no/slash'; allowed: 1 to 64 letters" in told['/name']


@pytest.mark.parametrize('name', ['', '.', '-a', '_a', 'a b', 'ä', 'a' * 65, 'a/b', 'a%2Fb'])
def test_a_name_that_no_path_could_say_is_refused(name: str) -> None:
    """Letters, digits, `_`, `-` and `.`, the first a letter or a digit, at most 64."""
    assert set(violations_of({'name': name})) == {'/name'}


def test_the_name_of_the_descriptions_is_kept() -> None:
    """`…/instances/docs` describes them."""
    assert 'kept for descriptions' in violations_of({'name': 'docs'})['/name']


def test_a_document_without_a_name_is_refused() -> None:
    """Nobody could ask for the instance."""
    assert violations_of({}) == {'/name': 'is missing'}
    assert violations_of(['name']) == {'': 'is an array; allowed: an object'}


def test_what_replaces_an_instance_has_its_name() -> None:
    """It need not say it, and may say no other."""
    assert read({}, name='when_hot').name == 'when_hot'
    assert read({'name': 'when_hot'}, name='when_hot').name == 'when_hot'
    assert set(violations_of({'name': 'When_hot'}, name='when_hot')) == {'/name'}


def test_two_triggers_of_one_condition_are_refused() -> None:
    """Nobody could tell which of them has fired, however their members are ordered."""
    turned = dict(reversed(HOT.items()))
    told = violations_of(
        {
            'name': 'twice',
            'start_triggers': [{'condition': HOT}, {'condition': COLD}],
            'stop_triggers': [{'condition': turned}],
        }
    )
    assert told == {
        '/stop_triggers/0/condition': 'is the same as /start_triggers/0/condition; '
        'allowed: another condition'
    }


def test_there_is_a_bound_on_triggers() -> None:
    """Sixteen of each kind."""
    triggers = [{'condition': {'interval_sec': number}} for number in range(1, 18)]
    assert len(read({'name': 'many', 'start_triggers': triggers[:16]}).start_triggers) == 16
    told = violations_of({'name': 'many', 'start_triggers': triggers})
    assert told == {'/start_triggers': 'has 17 items; allowed: at most 16'}


@pytest.mark.parametrize('member', [each for each in FULL if each not in ('name', 'enabled')])
def test_a_version_tells_every_change_but_of_being_enabled(member: str) -> None:
    """An execution is outdated where its instance is another one now."""
    less = {name: value for name, value in FULL.items() if name != member}
    assert read(less).version != read(FULL).version
    assert read(FULL | {'enabled': True}).version == read(FULL).version


VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 0.01, 5.0, 0.5, 100, 101, 2592000, 2592001, 10**30),
    *('', 'x', 'docs', 'a b', '.a', 'A-1_.', 'x' * 64, 'x' * 65, 'a\n', '\0', 'ä'),
    *('never', 'always', {}, {'x': 1}, [], ['x'], ['x'] * 257, ['a\0'], [None], [{}]),
    *([{'condition': {}, name: value}] for name in ('x', 'min_interval_sec') for value in (1, -1)),
    *([{'condition': {}, 'while_down': word}] for word in ('fire', 'ignore', 'x', None)),
    *([{'condition': {}, 'on_limit': word}] for word in ('wait', 'drop', 'x', None)),
)


@pytest.mark.parametrize('member', [*FULL, 'nonsense'])
def test_a_member_is_taken_where_its_schema_takes_it(
    member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For no value do the two disagree; what conditions may be is not theirs to say."""
    monkeypatch.setattr(
        'gateway_node.conditions.condition_reading.parse_condition', _any_condition
    )
    schema = instance_schema({}, {'type': 'array'}, named=member == 'name')
    validator = Draft202012Validator(schema)
    name = None if member == 'name' else 'other'
    for value in VALUES:
        if member == 'preconditions':
            continue
        try:
            read({member: value}, name)
        except InstanceRefused:
            taken = False
        else:
            taken = True
        assert taken == validator.is_valid({member: value}), value


def _any_condition(document: object, *args: object, **bounds: object) -> object:
    return document


def test_what_is_kept_of_an_instance_is_read_again() -> None:
    """With whose rights its triggers act, and what was confirmed."""
    instance = Instance(
        ref=REF,
        definition=read(FULL),
        enabled=True,
        rights=Rights(name='ada', role=Role.OPERATOR, scope=Scope(entities=('apps/*',))),
        confirmation='The arm is free to move.',
        created_at=NOW,
        created_by='ada@10.0.0.7',
        changed_at=NOW,
    )
    assert kept_instance(kept_form(instance)) == instance
    plain = Instance(ref=REF, definition=read({'name': 'when_hot'}), enabled=False)
    assert kept_instance(kept_form(plain)) == plain


def test_of_a_managed_instance_is_kept_whether_it_is_enabled() -> None:
    """All else the manifest says."""
    instance = Instance(ref=REF, definition=read(FULL), enabled=False, managed=True)
    assert kept_instance(kept_form(instance)) == Switch(ref=REF, enabled=False)


def test_what_was_taken_once_is_taken_however_often_the_robot_is_looked_at() -> None:
    """A smaller `triggers.max_rate_hz` loses nobody an instance."""
    fast = {'topic': '/scan', 'rate_below': 100}
    document = {'name': 'when_hot', 'start_triggers': [{'condition': fast}]}
    assert set(violations_of(document)) == {'/start_triggers/0/condition/rate_below'}
    instance = Instance(
        ref=REF, definition=parse_instance(document, max_rate_hz=math.inf), enabled=True
    )
    assert kept_instance(kept_form(instance)) == instance


def _manifest(tmp_path: Path, instances: str) -> Path:
    (tmp_path / 'check.sh').write_text('true\n')
    path = tmp_path / 'scripts.yaml'
    path.write_text(
        'scripts:\n  - {id: check, path: check.sh, entities: apps/arm, '
        f'instances: {instances}}}\n'
    )
    return path


def test_the_manifest_declares_instances_of_a_script(tmp_path: Path) -> None:
    """In the form in which clients make them."""
    path = _manifest(
        tmp_path,
        '[{name: nightly, start_triggers: [{condition: {cron: 0 3 * * *}}]}, {name: by_hand}]',
    )
    (managed,) = load_scripts_manifest(path)
    nightly, by_hand = managed.instances
    assert nightly.start_triggers[0].condition.document == {'cron': '0 3 * * *'}
    assert by_hand == read({'name': 'by_hand'})


@pytest.mark.parametrize(
    ('instances', 'told'),
    [
        ('[{name: a}, {name: a}]', "scripts[0].instances[1].name is 'a', as is an earlier one"),
        ('[{name: a, priority: 200}]', 'scripts[0].instances[0].priority is 200'),
        ('[{priority: 2}]', 'scripts[0].instances[0].name is missing'),
        ('{name: a}', 'scripts[0].instances is an object'),
    ],
)
def test_a_manifest_with_a_bad_instance_is_told_in_one_line(
    tmp_path: Path, instances: str, told: str
) -> None:
    """With the place, the value and what is allowed."""
    with pytest.raises(ManifestInvalid) as caught:
        load_scripts_manifest(_manifest(tmp_path, instances))
    assert told in str(caught.value)
