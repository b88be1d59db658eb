# SPDX-License-Identifier: Apache-2.0
"""How each kind of condition is read, other than those that have parts."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway_node.conditions.condition_fields import Fields
from gateway_node.conditions.condition_words import (
    ENTITY,
    FIELD,
    FINAL_STATUSES,
    LEVELS,
    LIFECYCLE_STATES,
    MAX_ENTITY_LENGTH,
    MAX_FIELD_LENGTH,
    MAX_MESSAGE_RATE,
    MAX_SEC,
    MIN_INTERVAL_SEC,
    MIN_MESSAGE_RATE,
    MIN_SILENT_SEC,
    Missed,
    NAME,
    NODE_GLOB,
    RATE_TESTS,
    TOPIC_TESTS,
    TYPE,
    VALUE_TESTS,
    VERDICTS,
    WITH_HYSTERESIS,
)
from gateway_node.conditions.cron import CronRefused, CronTimes, parse_cron
from gateway_node.conditions.levels import (
    FieldRate,
    MessageRate,
    Present,
    Silence,
    ValueHolds,
)
from gateway_node.conditions.sources import (
    DiagnosticLevel,
    GraphKind,
    LifecycleState,
    ParameterValue,
    Presence,
    PublisherCount,
    RobotSource,
    TopicValue,
)
from gateway_node.conditions.value_tests import Above, AtLevel, Below, OneOf, RateTest
from gateway_node.conditions.values import (
    Changes,
    Condition,
    Cron,
    GatewayStarted,
    Interval,
    ScriptEnd,
)
from gateway_node.strict_json import shown

Reader = Callable[[Fields, float], Condition | None]
"""Reads a condition of one kind; the number is how often a topic is looked at, at most."""


_NAMED = 'a full name, as /battery or /arm/joint_states'
_GLOBBED = 'a full name, as /arm/driver, or one with * and ?'


def _common(fields: Fields) -> dict[str, Any]:
    return {
        'document': fields.document,
        'for_sec': fields.number('for', 0, (0, MAX_SEC)),
    }


def _topic(fields: Fields, max_rate_hz: float) -> Condition | None:
    topic = fields.like('topic', NAME, _NAMED)
    test = fields.one_of(TOPIC_TESTS, 'test')
    if test is None:
        return None
    if test == 'present':
        return _present(fields, Presence(kind=GraphKind.TOPIC, name=topic), ('topic',))
    asked = ('topic', 'field', test, *_further(test), 'type', 'every')
    fields.only((name for name in asked if name != 'field' or test != 'silent_sec'), test)
    field, type_name = None, None
    if 'field' in fields:
        field = fields.like(
            'field', FIELD, 'the path of a field, as cells[0].temperature', MAX_FIELD_LENGTH
        )
    elif test in VALUE_TESTS:
        fields.refuse(None, f'has {test}, but no field; allowed: the path of one')
    if 'type' in fields:
        type_name = fields.like('type', TYPE, 'a type, as sensor_msgs/msg/BatteryState')
    source = TopicValue(
        topic=topic, field=field, type_name=type_name, every=fields.flag('every', False)
    )
    if test == 'silent_sec':
        silent = fields.number('silent_sec', 1, (MIN_SILENT_SEC, MAX_SEC))
        return Silence(source=source, silent_sec=silent, **_common(fields))
    if test in RATE_TESTS:
        return _rate(fields, source, test, max_rate_hz)
    return _value(fields, source, test)


def _further(test: str) -> tuple[str, ...]:
    """Return which fields go with a test."""
    level = () if test == 'changes' else ('for',)
    return (*(('hysteresis',) if test in WITH_HYSTERESIS else ()), *level)


def _value(fields: Fields, source: RobotSource, test: str) -> Condition | None:
    if test == 'changes':
        if fields.document[test] is not True:
            fields.refuse(test, f'is {shown(fields.document[test])}; allowed: true')
        return Changes(source=source, document=fields.document)
    read = fields.test(test)
    if read is None:
        return None
    return ValueHolds(source=source, test=read, **_common(fields))


def _rate(fields: Fields, source: TopicValue, name: str, max_rate_hz: float) -> Condition | None:
    read = fields.test(name)
    if not isinstance(read, (Above, Below)) or not fields.is_right:
        return None
    if source.field is not None:
        return FieldRate(source=source, test=read, **_common(fields))
    fields.number(name, 1, (MIN_MESSAGE_RATE, MAX_MESSAGE_RATE))
    if not fields.is_right:
        return None
    _check_message_rate(fields, source, name, read, max_rate_hz)
    return MessageRate(source=source, test=read, **_common(fields))


def _check_message_rate(
    fields: Fields, source: TopicValue, name: str, test: RateTest, max_rate_hz: float
) -> None:
    if isinstance(test, Above) and test.hysteresis >= test.limit:
        reason = f'is {shown(test.hysteresis)}; allowed: less than the rate, {shown(test.limit)}'
        fields.refuse('hysteresis', reason)
    seen = test.limit + (test.hysteresis if isinstance(test, Below) else 0)
    if seen >= max_rate_hz and not source.every:
        asked = shown(test.limit)
        if seen > test.limit:
            asked += f' (and {shown(test.hysteresis)} of hysteresis)'
        fields.refuse(
            name,
            f'is {asked}, which is not seen of a topic that is looked at {max_rate_hz:g} times a '
            'second (triggers.max_rate_hz); allowed: less, or "every": true',
        )


def _present(fields: Fields, source: Presence, names: tuple[str, ...]) -> Condition:
    fields.only((*names, 'present', 'for'), 'present')
    return Present(source=source, present=fields.flag('present', True), **_common(fields))


def _node(fields: Fields, max_rate_hz: float) -> Condition | None:
    if 'parameter' not in fields:
        name = fields.like('node', NODE_GLOB, _GLOBBED)
        return _present(fields, Presence(kind=GraphKind.NODE, name=name), ('node', 'parameter'))
    source = ParameterValue(node=fields.like('node', NAME, _NAMED), name=fields.text('parameter'))
    return _tested(fields, source, ('node', 'parameter'), 'parameter')


def _tested(
    fields: Fields, source: RobotSource, names: Iterable[str], beside: str
) -> Condition | None:
    test = fields.one_of(VALUE_TESTS, 'test')
    if test is None:
        return None
    fields.only((*names, test, *_further(test)), beside)
    return _value(fields, source, test)


def _service(fields: Fields, max_rate_hz: float) -> Condition:
    name = fields.like('service', NAME, _NAMED)
    return _present(fields, Presence(kind=GraphKind.SERVICE, name=name), ('service',))


def _publishers(fields: Fields, max_rate_hz: float) -> Condition | None:
    source = PublisherCount(topic=fields.like('publishers', NAME, _NAMED))
    return _tested(fields, source, ('publishers',), 'publishers')


def _lifecycle(fields: Fields, max_rate_hz: float) -> Condition | None:
    fields.only(('lifecycle', 'state', 'for'), 'lifecycle')
    source = LifecycleState(node=fields.like('lifecycle', NAME, _NAMED))
    if 'state' not in fields:
        allowed = ', '.join(LIFECYCLE_STATES)
        fields.refuse(None, f'has no state; allowed: some of {allowed}')
        return None
    test = OneOf(words=fields.words('state', LIFECYCLE_STATES))
    return ValueHolds(source=source, test=test, **_common(fields))


def _diagnostics(fields: Fields, max_rate_hz: float) -> Condition | None:
    fields.only(('diagnostics', 'level', 'for'), 'diagnostics')
    source = DiagnosticLevel(name=fields.text('diagnostics'))
    if 'level' not in fields:
        fields.refuse(None, f'has no level; allowed: one of {", ".join(LEVELS)}')
        return None
    test = AtLevel(level=fields.word('level', LEVELS))
    return ValueHolds(source=source, test=test, **_common(fields))


def _interval(fields: Fields, max_rate_hz: float) -> Condition:
    fields.only(('interval_sec',), 'interval_sec')
    seconds = fields.number('interval_sec', 1, (MIN_INTERVAL_SEC, MAX_SEC))
    return Interval(interval_sec=seconds, document=fields.document)


def _cron(fields: Fields, max_rate_hz: float) -> Condition | None:
    fields.only(('cron', 'missed'), 'cron')
    schedule = fields.text('cron')
    times = _cron_times(fields, schedule)
    missed = Missed.SKIP.value
    if 'missed' in fields:
        missed = fields.word('missed', [each.value for each in Missed])
    if times is None or not missed:
        return None
    return Cron(schedule=schedule, times=times, missed=Missed(missed), document=fields.document)


def _cron_times(fields: Fields, schedule: str) -> CronTimes | None:
    try:
        return parse_cron(schedule) if schedule else None
    except CronRefused as refused:
        fields.refuse('cron', str(refused))
        return None


def _script(fields: Fields, max_rate_hz: float) -> Condition:
    fields.only(('script', 'entity', 'status', 'verdict'), 'script')
    entity: str | None = None
    statuses: tuple[str, ...] = FINAL_STATUSES
    verdicts: tuple[str, ...] | None = None
    script = fields.text('script')
    if 'entity' in fields:
        entity = fields.like(
            'entity', ENTITY, 'as apps/camera or components/arm', MAX_ENTITY_LENGTH
        )
    if 'status' in fields:
        statuses = fields.words('status', FINAL_STATUSES)
    if 'verdict' in fields:
        verdicts = fields.words('verdict', VERDICTS)
    return ScriptEnd(
        script=script,
        entity=entity,
        statuses=statuses,
        verdicts=verdicts,
        document=fields.document,
    )


def _gateway(fields: Fields, max_rate_hz: float) -> Condition:
    fields.only(('gateway',), 'gateway')
    fields.word('gateway', ('started',))
    return GatewayStarted(document=fields.document)


READERS: Mapping[str, Reader] = {
    'topic': _topic,
    'node': _node,
    'service': _service,
    'publishers': _publishers,
    'lifecycle': _lifecycle,
    'diagnostics': _diagnostics,
    'interval_sec': _interval,
    'cron': _cron,
    'script': _script,
    'gateway': _gateway,
}
