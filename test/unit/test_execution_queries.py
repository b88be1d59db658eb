# SPDX-License-Identifier: Apache-2.0
"""From the names in a query to the filter that they make."""

import dataclasses
import datetime
from typing import Any

from fakes import FakeClock
from multidict import CIMultiDict, MultiDict
import pytest

from gateway_node.access.seen_entities import SeenEntities
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.entities_manifest import Declaration, EntitiesManifest
from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions.filters import (
    EVER,
    ExecutionFilter,
    InstanceFilter,
    Moments,
    TriggerFilter,
)
from gateway_node.executions.values import ExecutionStatus, ExecutionType, TriggerType
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.request_reader import Reader
from gateway_node.scripts.values import ScriptKind, Verdict

ID = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


PARTS: list[tuple[str, str, Any]] = [
    ('status=failed,terminated', 'statuses',
     {ExecutionStatus.FAILED, ExecutionStatus.TERMINATED}),
    ('entity=apps/*,components/robot', 'entities', {'apps/*', 'components/robot'}),
    ('script=script_1,Self test', 'scripts', {'script_1', 'Self test'}),
    ('instance=script_1:nightly,Self: test:x', 'instances',
     {InstanceFilter(script='script_1', name='nightly'),
      InstanceFilter(script='Self: test', name='x')}),
    ('firing=7,2048', 'firings', {7, 2048}),
    ('tag=brakes&tag=daily', 'tags', {'brakes', 'daily'}),
    ('kind=sh', 'kinds', {ScriptKind.SH}),
    ('exit_code=0,3', 'exit_codes', {0, 3}),
    ('signal=9', 'signals', {9}),
    ('vendor_code=x-gateway-timeout', 'vendor_codes', {'x-gateway-timeout'}),
    ('verdict=FAIL,WARN', 'verdicts', {Verdict.FAIL, Verdict.WARN}),
    ('execution_type=now', 'execution_types', {ExecutionType.NOW}),
    (f'trigger=restart:{ID}', 'triggers',
     {TriggerFilter(type=TriggerType.RESTART, setting=ID)}),
    ('stop_trigger=system', 'stop_triggers', {TriggerFilter(type=TriggerType.SYSTEM)}),
    ('username=alice', 'usernames', {'alice'}),
    (f'parent={ID}', 'parents', {ID}),
    (f'schedule={ID}', 'schedules', {ID}),
    ('priority=-3,0', 'priorities', {-3, 0}),
    ('terminating=true', 'terminating', True),
    ('scheduled=false', 'scheduled', False),
    ('created_after=2026-01-31T12:00:00Z', 'created', Moments(after=NOON)),
    ('created_before=2026-01-31T12:00:00Z', 'created', Moments(before=NOON)),
    ('started_after=2026-01-31T12:00:00Z', 'started', Moments(after=NOON)),
    ('started_before=2026-01-31T12:00:00Z', 'started', Moments(before=NOON)),
    ('completed_after=2026-01-31T12:00:00Z', 'completed', Moments(after=NOON)),
    ('completed_before=2026-01-31T12:00:00Z', 'completed', Moments(before=NOON)),
    ('min_duration_ms=0', 'min_duration_ms', 0),
    ('max_duration_ms=5', 'max_duration_ms', 5),
    ('result_contains=a,b', 'result_contains', 'a,b'),
    ('parameter.mode=fast&parameter.mode=a,b&parameter.a.b=[1,2]', 'parameters',
     {'mode': {'fast', 'a,b'}, 'a.b': {'[1,2]'}}),
]  # fmt: skip
"""Queries, and the field of the filter that each sets, with its value."""


@pytest.fixture
def directory() -> SeenEntities:
    """Have two nodes, one of which is located on a component of the manifest."""
    ecu = Declaration(id='engine_ecu', name='Engine ECU', nodes=('/ecu/*',))
    directory = EntityDirectory(
        host_name='robot',
        own_node=NodeName(namespace='/', name='gateway_node'),
        clock=FakeClock(),
        is_held=lambda _: False,
        manifest=EntitiesManifest(components=(ecu,)),
    )
    nodes = {
        NodeName(namespace='/ecu', name='injector'),
        NodeName(namespace='/powertrain', name='temp_sensor'),
    }
    directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    return SeenEntities(directory)


def read(query: str) -> ExecutionQuery:
    given = MultiDict[str]()
    for name, _, value in (pair.partition('=') for pair in query.split('&') if pair):
        given.add(name, value)
    return Reader(ExecutionQuery).read({}, given, CIMultiDict())


def test_nothing_asked_for_finds_everything(directory: SeenEntities) -> None:
    """What is outdated, too."""
    query = read('')
    assert query.filter(directory) == ExecutionFilter()
    assert query.include_outdated


@pytest.mark.parametrize(('query', 'field', 'value'), PARTS)
def test_each_name_is_one_part_of_the_filter(
    directory: SeenEntities, query: str, field: str, value: Any
) -> None:
    """And of no other."""
    assert read(query).filter(directory) == dataclasses.replace(
        ExecutionFilter(), **{field: value}
    )


def test_each_part_of_the_filter_can_be_asked_for(directory: SeenEntities) -> None:
    """But for what the path says, who asks, what the library knows, and what series are for."""
    asked = {field for _, field, _ in PARTS}
    known = {field.name for field in dataclasses.fields(ExecutionFilter)}
    assert known - asked == {
        'scope', 'entity', 'script_id', 'located', 'metric',
        'present_versions', 'present_instances',
    }  # fmt: skip


def test_a_component_is_itself_and_what_is_located_on_it(directory: SeenEntities) -> None:
    """Through the directory: an app belongs to one component, and the host holds all."""

    def located(component: str) -> set[str]:
        found = read(f'component={component}').filter(directory).located
        assert found is not None
        return {each.path for each in found}

    assert located('engine_ecu') == {'components/engine_ecu', 'apps/injector'}
    assert located('powertrain') == {'components/powertrain', 'apps/temp_sensor'}
    assert located('robot') == {'components/robot', 'apps/injector', 'apps/temp_sensor'}
    assert located('engine_ecu,powertrain') == located('engine_ecu') | located('powertrain')
    assert EntityRef(entity_type=EntityType.APP, entity_id='injector').path in located('robot')


def test_a_component_that_nobody_knows_is_refused(directory: SeenEntities) -> None:
    """A list without anything in it would say that nothing ran there."""
    with pytest.raises(
        InvalidParameter, match=r"^component is 'x'; allowed: robot, .*engine_ecu"
    ) as caught:
        read('component=x,robot,y').filter(directory)
    assert [each.path for each in caught.value.violations] == ['/query/component'] * 2


def test_a_time_that_ends_before_it_begins_is_refused(directory: SeenEntities) -> None:
    """Each with both of its ends; one that ends where it begins is empty."""
    late, early = '2026-01-31T12:00:00Z', '2026-01-31T13:00:00+02:00'
    with pytest.raises(
        InvalidParameter,
        match=r'^created_after is 2026-01-31T12:00:00.000Z; '
        r'allowed: up to created_before, which is 2026-01-31T11:00:00.000Z$',
    ) as caught:
        read(
            '&'.join(
                f'{name}_after={late}&{name}_before={early}'
                for name in ('created', 'started', 'completed')
            )
        ).filter(directory)
    assert [each.path for each in caught.value.violations] == [
        '/query/created_after',
        '/query/started_after',
        '/query/completed_after',
    ]
    empty = read(f'completed_after={late}&completed_before={late}').filter(directory)
    assert empty.completed == Moments(after=NOON, before=NOON)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Each with what is allowed; of a family with the name that was given."""
    with pytest.raises(InvalidParameter) as caught:
        read('stats=1&status=done&exit_code=256&parameter.x=&created_after=today&parameter.=1')
    assert [each.path for each in caught.value.violations] == [
        '/query/parameter.x',
        '/query/stats',
        '/query/parameter.',
        '/query/status',
        '/query/exit_code',
        '/query/created_after',
    ]
    assert all('allowed: ' in each.reason for each in caught.value.violations)
    unknown = caught.value.violations[1].reason
    assert 'status, entity, component, script, ' in unknown
    assert 'parameter.NAME' in unknown


def test_the_number_of_parameters_is_bounded() -> None:
    """Each of them costs the reading of each execution."""
    assert len(read('&'.join(f'parameter.{n}=1' for n in range(20))).parameters) == 20
    with pytest.raises(InvalidParameter, match=r'parameter.NAME is given for 21 names; allowed'):
        read('&'.join(f'parameter.{n}=1' for n in range(21)))
    assert Moments() == EVER
