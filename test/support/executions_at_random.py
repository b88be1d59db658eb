# SPDX-License-Identifier: Apache-2.0
"""Executions, filters and pages at random, from so few values that they often meet."""

import dataclasses
import datetime
import random
from typing import Any

from fakes import new_execution
from hypothesis import strategies

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.filters import (
    ExecutionFilter,
    InstanceFilter,
    InstanceVersion,
    Moments,
    ScriptVersion,
    TriggerFilter,
)
from gateway_node.executions.group import Group, SCRIPT_ID
from gateway_node.executions.ids import number_of
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.pages import KeysetPage, NumberedPage, Order
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.scopes import Scope
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    OPEN_STATUSES,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import ScriptKind, Verdict

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
ENTITIES = [
    EntityRef(entity_type=EntityType.APP, entity_id='arm'),
    EntityRef(entity_type=EntityType.APP, entity_id='arm_2'),
    EntityRef(entity_type=EntityType.COMPONENT, entity_id='arm'),
]
PATTERNS = ['apps/arm', 'apps/*', '*/arm', 'apps/arm_?', 'apps/none', '*']
SCRIPT_IDS = ['self_test', 'script_1']
SCRIPT_NAMES = ['Self test', 'self_test', "it's 100 %"]
INSTANCES = ['nightly', 'verbose']
FIRINGS = [3, 41, 2**62]
TAGS = ['brakes', 'Brakes', 'front_left']
VERSIONS = ['e' * 64, 'f' * 64]
SETTINGS = ['stop', 'timeout', "'; DROP TABLE executions; --"]
USERS = ['ann', 'Ännchen', '%']
TEXTS = ['Straße', 'STRASSE', 'say "é"', 'É', '50%_', 'u00e9', 'a\\b', '\U0001f600', '\x1b[0m']
VALUES: list[Any] = [1, True, None, 1.5, '1', 'true', {'b': [1], 'a': 'é'}, 'é', '{"a":1}']
SAID = ['1', 'true', 'null', '1.5', '{"a": "é", "b": [1]}', 'é', '"1"', '{"a":1}', '[', 'NaN']
METRICS = ['volts', 'Volts', 'Öl "1"', 'a\\b', '$.x', 'null', "'"]
IDS = [new_execution(number).id for number in range(0, 60, 2)]
_SECONDS = strategies.integers(-5, 40).map(lambda each: datetime.timedelta(seconds=each / 2))
_MICROSECONDS = strategies.sampled_from(
    [datetime.timedelta(microseconds=each) for each in (0, -1, 1)]
)
MOMENTS = strategies.builds(lambda second, beside: NOON + second + beside, _SECONDS, _MICROSECONDS)


def execution_at_random(chance: random.Random, number: int) -> Execution:
    """Return an execution as it is recorded at any point of its way.

    Not drawn field by field, for which hypothesis would take most of the time.
    """
    status = chance.choice([*ExecutionStatus])
    fields: dict[str, Any] = {
        'entity': chance.choice(ENTITIES),
        'script_id': chance.choice(SCRIPT_IDS),
        'script_version': chance.choice(VERSIONS),
        'script_name': chance.choice([None, *SCRIPT_NAMES]),
        'script_kind': chance.choice([None, *ScriptKind]),
        'script_tags': tuple(chance.sample(TAGS, chance.randint(0, 2))),
        'execution_type': chance.choice([*ExecutionType]),
        'status': status,
        'trigger': _trigger(chance),
        'created_at': _moment(chance),
        'input_parameters': {
            name: chance.choice(VALUES) for name in ('depth', 'x.y') if chance.random() < 0.5
        },
        'priority': chance.randint(-1, 2),
        'parent': chance.choice([None, *IDS[:4]]),
        'schedule': chance.choice([None, *IDS[:4]]),
        'stop_trigger': chance.choice([None, _trigger(chance)]),
        'started_at': chance.choice([None, _moment(chance)]),
    }
    if chance.random() < 0.3:
        fields |= {
            'instance': chance.choice(INSTANCES),
            'instance_version': chance.choice(VERSIONS),
        }
    if status is ExecutionStatus.PREPARED:
        fields['as_schedule'] = chance.choice([None, Schedule()])
    if status not in OPEN_STATUSES:
        fields |= _end(chance, status)
    if chance.random() < 0.2:
        fields |= {'script_id': SCRIPT_ID, 'group': _group(chance)}
    return new_execution(number, **fields)


def without_instance(execution: Execution) -> Execution:
    """Return an execution as versions knew it that had no instances."""
    stop = execution.stop_trigger
    return execution.evolve(
        instance=None,
        instance_version=None,
        trigger=_without_firing(execution.trigger),
        stop_trigger=stop and _without_firing(stop),
    )


def _without_firing(trigger: Trigger) -> Trigger:
    if trigger.type is not TriggerType.CONDITION:
        return trigger
    return dataclasses.replace(trigger, type=TriggerType.SYSTEM, firing=None)


def executions(number: int) -> strategies.SearchStrategy[Execution]:
    """Return executions at random, all of one id."""
    seeds = strategies.integers(0, 2**32)
    return seeds.map(lambda seed: execution_at_random(random.Random(seed), number))


def _group(chance: random.Random) -> Group:
    return Group(
        script=chance.choice([*SCRIPT_IDS, *SCRIPT_NAMES]),
        entities=tuple(chance.sample(PATTERNS, chance.randint(1, 2))),
    )


def _trigger(chance: random.Random) -> Trigger:
    trigger_type = chance.choice([*TriggerType])
    return Trigger(
        type=trigger_type,
        setting=chance.choice([None, *SETTINGS]),
        username=chance.choice([None, *USERS]),
        firing=chance.choice(FIRINGS) if trigger_type is TriggerType.CONDITION else None,
    )


def _moment(chance: random.Random) -> datetime.datetime:
    return NOON + datetime.timedelta(seconds=chance.randint(-5, 40) / 2)


def _end(chance: random.Random, status: ExecutionStatus) -> dict[str, Any]:
    failure = Failure(reason=chance.choice([*FailureReason]), message='it failed')
    return {
        'completed_at': chance.choice([None, _moment(chance)]),
        'duration_ms': chance.choice([None, 0, 1, 2, 3]),
        'exit_code': chance.choice([None, -1, 0, 1, 2]),
        'signal': chance.choice([None, 9, 15]),
        'verdict': chance.choice([None, *Verdict]),
        'metrics': {chance.choice(METRICS): 1} if chance.random() < 0.5 else {},
        'output_parameters': chance.choice([None, {chance.choice(TEXTS): chance.choice(TEXTS)}]),
        'failure': failure if status is ExecutionStatus.FAILED else None,
    }


def _some(values: Any) -> strategies.SearchStrategy[frozenset[Any]]:
    return strategies.frozensets(strategies.sampled_from(values), min_size=1, max_size=3)


_trigger_filters = strategies.frozensets(
    strategies.builds(
        TriggerFilter,
        type=strategies.sampled_from(TriggerType),
        setting=strategies.sampled_from([None, *SETTINGS]),
    ),
    min_size=1,
    max_size=2,
)
_parts_of_time = strategies.builds(
    Moments, after=strategies.none() | MOMENTS, before=strategies.none() | MOMENTS
)
_versions = strategies.frozensets(
    strategies.builds(
        ScriptVersion,
        entity=strategies.sampled_from(ENTITIES),
        script_id=strategies.sampled_from(SCRIPT_IDS),
        version=strategies.sampled_from(VERSIONS),
    ),
    max_size=6,
)
_instances = strategies.builds(
    InstanceRef,
    entity=strategies.sampled_from(ENTITIES),
    script_id=strategies.sampled_from(SCRIPT_IDS),
    name=strategies.sampled_from(INSTANCES),
)
_instance_filters = strategies.builds(
    InstanceFilter,
    script=strategies.sampled_from([*SCRIPT_IDS, *SCRIPT_NAMES, 'nobody']),
    name=strategies.sampled_from([*INSTANCES, 'none']),
)
_globs = strategies.none() | strategies.lists(
    strategies.sampled_from(
        ['*', 'apps/*', 'apps/arm', 'apps/ar?', '*/arm*', 'self_*', 'S*', 'it?s 100 %', '?rakes']
    ),
    max_size=3,
).map(tuple)
_CHOICES: dict[str, strategies.SearchStrategy[Any]] = {
    'scope': strategies.builds(Scope, entities=_globs, scripts=_globs, tags=_globs),
    'entity': strategies.sampled_from(ENTITIES),
    'script_id': strategies.sampled_from(SCRIPT_IDS),
    'statuses': _some(ExecutionStatus),
    'entities': _some(PATTERNS),
    'located': strategies.frozensets(strategies.sampled_from(ENTITIES)),
    'scripts': _some([*SCRIPT_IDS, *SCRIPT_NAMES, 'nobody']),
    'instances': strategies.frozensets(_instance_filters, min_size=1, max_size=3),
    'firings': _some([*FIRINGS, 4]),
    'tags': _some([*TAGS, 'none']),
    'kinds': _some(ScriptKind),
    'exit_codes': _some([-1, 0, 1, 7]),
    'signals': _some([9, 15]),
    'vendor_codes': _some([each.value for each in FailureReason]),
    'verdicts': _some(Verdict),
    'metric': strategies.sampled_from(METRICS),
    'execution_types': _some(ExecutionType),
    'triggers': _trigger_filters,
    'stop_triggers': _trigger_filters,
    'usernames': _some([*USERS, 'nobody']),
    'parents': _some(IDS[:5]),
    'schedules': _some(IDS[:5]),
    'priorities': _some([-1, 0, 2]),
    'terminating': strategies.booleans(),
    'scheduled': strategies.booleans(),
    'created': _parts_of_time,
    'started': _parts_of_time,
    'completed': _parts_of_time,
    'min_duration_ms': strategies.integers(0, 3),
    'max_duration_ms': strategies.integers(0, 3),
    'result_contains': strategies.sampled_from(
        ['strasse', 'É', 'say "', '"é', '%', 'u00E9', 'A\\']
    ),
    'parameters': strategies.dictionaries(
        strategies.sampled_from(['depth', 'x.y']), _some(SAID), min_size=1
    ),
    'present_versions': _versions,
    'present_instances': strategies.frozensets(
        strategies.builds(
            InstanceVersion, ref=_instances, version=strategies.sampled_from(VERSIONS)
        ),
        max_size=6,
    ),
}
assert _CHOICES.keys() == {each.name for each in dataclasses.fields(ExecutionFilter)}


@strategies.composite
def filters(draw: strategies.DrawFn) -> ExecutionFilter:
    """Return a filter of a few fields."""
    names = draw(strategies.sets(strategies.sampled_from(sorted(_CHOICES)), max_size=3))
    return ExecutionFilter(**{name: draw(_CHOICES[name]) for name in sorted(names)})


def seen_filters() -> strategies.SearchStrategy[ExecutionFilter]:
    """Return the same, asked by somebody who may not look at everything."""
    return strategies.builds(
        lambda wanted, scope: dataclasses.replace(wanted, scope=scope),
        filters(),
        _CHOICES['scope'],
    )


KEYSET_PAGES = strategies.builds(
    KeysetPage,
    limit=strategies.integers(1, 5) | strategies.integers(-5, -1),
    reference=strategies.none()
    | strategies.integers(0, 62).map(lambda number: new_execution(number).id),
    below=strategies.none()
    | strategies.integers(0, 62).map(lambda number: number_of(new_execution(number).id)),
)
NUMBERED_PAGES = strategies.builds(
    NumberedPage,
    number=strategies.integers(1, 4),
    size=strategies.integers(1, 9),
    order=strategies.sampled_from(Order),
)
