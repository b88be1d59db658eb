# SPDX-License-Identifier: Apache-2.0
"""An evaluation says what a plain model says that knows the whole history."""

from dataclasses import dataclass
import math
from typing import Any

from condition_model import firings, History, Told, truths
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.evaluation import Evaluation
from gateway_node.conditions.sources import Reading, RobotSource
from gateway_node.conditions.values import Condition


def condition_of(document: dict[str, Any]) -> Condition:
    violations: list[Any] = []
    condition = parse_condition(document, '', violations, moments=True)
    assert condition is not None, violations
    return condition


FIELDS = st.sampled_from(
    [{'topic': '/a', 'field': 'x'}, {'topic': '/a', 'field': 'y'}, {'topic': '/b', 'field': 'x'}]
)
NUMBERS = st.sampled_from([-2, 0, 1, 1.5, 3, 7])
RANGES = st.sampled_from([[-1, 2], [0, 3], [1, 1], [0, 7]])
FOR = st.sampled_from([{}, {}, {'for': 0.53}, {'for': 1.57}, {'for': 3.091}])
BACK = st.sampled_from([{}, {'hysteresis': 0.4}, {'hysteresis': 1.2}])


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects that have the fields of all."""
    return st.tuples(*parts).map(lambda each: {k: v for part in each for k, v in part.items()})


def field(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return values.map(lambda value: {name: value})


NUMBER_TESTS = joined(
    st.one_of(
        *(field(name, NUMBERS) for name in ('above', 'below', 'rate_above', 'rate_below')),
        field('within', RANGES),
    ),
    BACK,
)
LEVELS = st.one_of(
    joined(FIELDS, NUMBER_TESTS, FOR),
    joined(FIELDS, field('outside', RANGES), FOR),
    joined(FIELDS, st.just({'outside': [0, 3], 'hysteresis': 1.2}), FOR),
    joined(FIELDS, field('equals', st.sampled_from([1, True, 'x', None, [1]])), FOR),
    joined(
        st.just({'topic': '/a'}),
        st.sampled_from(
            [
                {'rate_above': 2.9},
                {'rate_above': 2.9, 'hysteresis': 1.7},
                {'rate_below': 3.7, 'hysteresis': 1.1},
                {'rate_below': 0.7},
                {'silent_sec': 0.517},
                {'silent_sec': 2.039},
            ]
        ),
        FOR,
    ),
    joined(st.just({'node': '/n'}), field('present', st.booleans()), FOR),
    joined(st.just({'lifecycle': '/n', 'state': ['active', 'inactive']}), FOR),
    joined(st.just({'diagnostics': '*'}), field('level', st.sampled_from(['WARN', 'STALE']))),
)
MOMENTS = st.one_of(
    joined(FIELDS, st.just({'changes': True})),
    st.sampled_from([{'interval_sec': 1.31}, {'cron': '0 3 * * *'}, {'gateway': 'started'}]),
)


def several(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        joined(field('all', st.lists(parts, min_size=1, max_size=3)), FOR),
        joined(field('any', st.lists(parts, min_size=1, max_size=3)), FOR),
        joined(field('not', parts), FOR),
    )


ANY_LEVELS = st.recursive(LEVELS, several, max_leaves=5)
WITH_MOMENTS = st.recursive(
    MOMENTS,
    lambda parts: st.one_of(
        st.tuples(parts, st.lists(ANY_LEVELS, max_size=2)).map(lambda p: {'all': [p[0], *p[1]]}),
        st.lists(parts | ANY_LEVELS, min_size=1, max_size=3).map(lambda p: {'any': p}),
    ),
    max_leaves=3,
)
CONDITIONS = (ANY_LEVELS | WITH_MOMENTS).map(condition_of)

VALUES = st.one_of(
    NUMBERS,
    st.floats(-5, 9, width=16),
    st.sampled_from([True, False, 'x', None, [1], [True], math.nan, math.inf, -math.inf]),
)
LEVEL_VALUES = st.none() | st.integers(0, 3).map(
    lambda level: {'name': 'm', 'level': level, 'message': ''}
)
FAULTS = st.sampled_from([('', False)] * 5 + [('no such type', False), ('unpublished', True)])


@dataclass(frozen=True)
class Call:
    """What an evaluation is asked at a time: None is a tick."""

    now: float
    told: Told | None


@st.composite
def readings_of(draw: st.DrawFn, source: RobotSource, now: float) -> Reading:
    fault, unpublished = draw(FAULTS)
    kind = type(source).__name__
    value: Any = None
    if kind == 'DiagnosticLevel':
        value = draw(LEVEL_VALUES)
    elif kind == 'Presence':
        value = draw(st.booleans())
    elif kind == 'LifecycleState':
        value = draw(st.sampled_from(['active', 'inactive', 'finalized']))
    else:
        value = draw(VALUES)
    return Reading(
        at=now - draw(st.sampled_from([0, 0.0103])),
        value=None if fault else value,
        messages=draw(st.sampled_from([1, 1, 1, 0, 2, 5])),
        fault=fault,
        unpublished=unpublished,
    )


@st.composite
def calls(draw: st.DrawFn, condition: Condition) -> list[Call]:
    now = 0.0
    row = []
    for _ in range(draw(st.integers(1, 18))):
        now += draw(st.sampled_from([0.125, 0.25, 0.375, 0.5, 1.0, 1.5, 4.0]))
        row += [
            Call(now + early, None)
            for early in sorted(draw(st.lists(st.floats(0.001, 0.12), max_size=2)))
        ]
        now += 0.125
        sources = [each for each in condition.sources if draw(st.booleans())]
        moment = None
        which = draw(st.integers(0, 2 * len(condition.moments)))
        if which < len(condition.moments):
            moment, sources = condition.moments[which], []
        read = tuple((source, draw(readings_of(source, now))) for source in sources)
        row.append(Call(now, Told(now, read, moment)))
    return [*row, Call(now + 10.0, None)]


def told_to(evaluation: Evaluation, call: Call) -> bool:
    """Tell an evaluation of a call, and return whether it fires."""
    if call.told is None:
        return evaluation.tick(call.now)
    if call.told.moment is not None:
        return evaluation.happened(call.told.moment, call.now, {'told': True})
    return evaluation.take(dict(call.told.readings), call.now)


def compare(condition: Condition, row: list[Call], last: bool | None) -> None:
    """Hold an evaluation to the model at every call."""
    evaluation = Evaluation(condition, 0.0, last)
    told: tuple[Told, ...] = ()
    fired = 0
    for call in row:
        told = told if call.told is None else (*told, call.told)
        fires = told_to(evaluation, call)
        history = History(0.0, told)
        assert evaluation.truth == truths(condition, history, call.now)[-1][1]
        assert evaluation.due is None or evaluation.due > call.now
        number = firings(condition, history, call.now, last)
        assert fires == (number > fired)
        fired = number


LASTS = st.sampled_from([None, True, False])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), last=LASTS)
def test_an_evaluation_says_what_the_model_says(data: st.DataObject, last: bool | None) -> None:
    """Truth and firing at every call, whenever time is told in between."""
    condition = data.draw(CONDITIONS)
    compare(condition, data.draw(calls(condition)), last)


X = {'topic': '/a', 'field': 'x'}
EACH: list[dict[str, Any]] = [
    {**X, 'above': 1, 'hysteresis': 1.2, 'for': 0.53},
    {**X, 'below': 1, 'hysteresis': 1.2},
    {**X, 'within': [0, 3], 'hysteresis': 1.2},
    {**X, 'outside': [0, 3], 'hysteresis': 1.2},
    {**X, 'equals': 1},
    {**X, 'changes': True},
    {**X, 'rate_above': 1, 'hysteresis': 2},
    {**X, 'rate_below': -1, 'hysteresis': 2, 'for': 0.53},
    {'topic': '/a', 'rate_above': 2.9},
    {'topic': '/a', 'rate_above': 3, 'hysteresis': 1.7},
    {'topic': '/a', 'rate_below': 0.7},
    {'topic': '/a', 'rate_below': 3, 'hysteresis': 1.1, 'for': 0.53},
    {'topic': '/a', 'silent_sec': 0.5},
    {'topic': '/a', 'silent_sec': 2, 'for': 1.57},
    {'node': '/n', 'present': False, 'for': 1.57},
]


@pytest.mark.parametrize('document', EACH, ids=str)
@settings(max_examples=30, deadline=None)
@given(data=st.data(), last=LASTS)
def test_each_condition_says_what_the_model_says(
    document: dict[str, Any], data: st.DataObject, last: bool | None
) -> None:
    """By itself, with much that is read, and faults."""
    condition = condition_of(document)
    (source,) = condition.sources
    gaps = data.draw(st.lists(st.sampled_from([0.125, 0.25, 0.5, 1.0, 4.0]), max_size=18))
    row: list[Call] = []
    now = 0.0
    for gap in gaps:
        now += gap
        reading = data.draw(readings_of(source, now))
        row.append(Call(now, Told(now, ((source, reading),))))
    compare(condition, [*row, Call(now + 10.0, None)], last)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_nothing_depends_on_how_often_time_is_told(data: st.DataObject) -> None:
    """One that is told the time by `due` alone fires as often, and at the same calls."""
    condition = data.draw(CONDITIONS)
    row = data.draw(calls(condition))
    often, seldom = Evaluation(condition, 0.0), Evaluation(condition, 0.0)
    fired = False
    for call in row:
        fired = told_to(often, call) or fired
        if call.told is not None:
            assert told_to(seldom, call) == fired
            fired = False
            assert often.truth == seldom.truth
            assert often.due == seldom.due
            assert often.shown(call.now, str) == seldom.shown(call.now, str)
