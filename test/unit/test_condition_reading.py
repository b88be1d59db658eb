# SPDX-License-Identifier: Apache-2.0
"""Conditions are read from JSON, or refused with every place that is wrong."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.conditions.condition_reading import (
    parse_condition,
    parse_precondition,
    parse_preconditions,
)
from gateway_node.conditions.condition_words import FURTHER_FIELDS, KINDS
from gateway_node.conditions.values import Condition
from gateway_node.violations import Violation

TOPIC = {'topic': '/battery', 'field': 'cells[0].temperature'}
CRON = {'cron': '0 3 * * *'}
ABOVE = {**TOPIC, 'above': 60}

GOOD: list[tuple[dict[str, Any], str]] = [
    (ABOVE, '/battery cells[0].temperature above 60'),
    ({**ABOVE, 'for': 5, 'hysteresis': 2.5}, 'above 60 (hysteresis 2.5) for 5 s'),
    ({**TOPIC, 'below': -1.5, 'every': True}, 'below -1.5'),
    ({**TOPIC, 'within': [1, 2], 'type': 'sensor_msgs/msg/BatteryState'}, 'within 1 to 2'),
    ({**TOPIC, 'outside': [1, 1]}, 'outside 1 to 1'),
    ({**TOPIC, 'equals': 'on'}, "is 'on'"),
    ({**TOPIC, 'equals': None}, 'is null'),
    ({**TOPIC, 'equals': [1, {'a': True}]}, 'is an array'),
    ({**TOPIC, 'field': 'cells[-1].x', 'above': 0}, '/battery cells[-1].x above 0'),
    ({**TOPIC, 'changes': True}, '/battery cells[0].temperature changes'),
    ({**TOPIC, 'rate_above': 2}, '/battery cells[0].temperature: rate above 2 a second'),
    ({**TOPIC, 'rate_above': 2000}, 'rate above 2000 a second'),
    ({'topic': '/scan', 'rate_below': 5, 'hysteresis': 2}, '/scan: messages below 5'),
    ({'topic': '/scan', 'rate_below': 500, 'every': True}, '/scan: messages below 500'),
    ({'topic': '/scan', 'silent_sec': 3, 'for': 1}, '/scan silent for 3 s for 1 s'),
    ({'topic': '/scan', 'present': False}, 'topic /scan is not there'),
    ({'node': '/arm/driver'}, 'node /arm/driver is there'),
    ({'node': '/arm/*', 'present': False, 'for': 3}, 'node /arm/* is not there for 3 s'),
    ({'service': '/reset', 'present': True}, 'service /reset is there'),
    ({'publishers': '/scan', 'above': 1}, 'publishers of /scan above 1'),
    ({'publishers': '/scan', 'changes': True}, 'publishers of /scan changes'),
    ({'lifecycle': '/camera', 'state': 'active'}, 'state of /camera is active'),
    ({'lifecycle': '/camera', 'state': ['active', 'inactive']}, 'is active or inactive'),
    ({'node': '/base', 'parameter': 'max.speed', 'above': 1}, 'parameter max.speed of /base'),
    ({'diagnostics': 'motor*', 'level': 'WARN'}, 'diagnostics motor* at WARN or worse'),
    ({'interval_sec': 60}, 'every 60 s'),
    (CRON, 'cron 0 3 * * *'),
    ({**CRON, 'missed': 'once'}, 'cron 0 3 * * *'),
    ({'script': 'check'}, 'end of check'),
    (
        {'script': 'check', 'entity': 'apps/arm', 'status': ['failed'], 'verdict': 'FAIL'},
        'end of check on apps/arm (failed, FAIL)',
    ),
    ({'gateway': 'started'}, 'start of the gateway'),
    ({'all': [ABOVE, CRON]}, '(/battery cells[0].temperature above 60 and cron 0 3 * * *)'),
    ({'any': [CRON, {'gateway': 'started'}]}, '(cron 0 3 * * * or start of the gateway)'),
    ({'all': [{'any': [CRON, {'interval_sec': 5}]}, ABOVE]}, 'every 5 s'),
    ({'not': {'any': [ABOVE, {'node': '/a'}], 'for': 2}, 'for': 1}, 'not ((/battery'),
]

BAD: list[tuple[object, list[tuple[str, str]]]] = [
    (3, [('', 'is 3; allowed: an object')]),
    ({}, [('', 'has no kind; allowed: one of topic, node')]),
    ({'topic': '/a', 'service': '/b'}, [('', 'has topic and service; allowed: one of topic')]),
    ({'topic': '/a'}, [('', 'has no test; allowed: one of changes')]),
    ({'topic': 'a', 'present': True}, [('/topic', "is 'a'; allowed: a full name")]),
    ({'topic': '/a', 'above': 1}, [('', 'has above, but no field')]),
    ({**ABOVE, 'below': 1}, [('', 'has above and below; allowed: one of changes')]),
    ({**ABOVE, 'above': True}, [('/above', 'is true; allowed: a number')]),
    ({**ABOVE, 'above': '60'}, [('/above', "is '60'; allowed: a number")]),
    ({**ABOVE, 'above': None}, [('/above', 'is null; allowed: a number')]),
    ({**ABOVE, 'above': 10**301}, [('/above', 'is a number with more than 77 digits')]),
    ({**ABOVE, 'hysteresis': -1}, [('/hysteresis', 'is -1; allowed: a number from 0')]),
    ({**ABOVE, 'for': -1}, [('/for', 'is -1; allowed: a number from 0 to 2678400')]),
    ({**ABOVE, 'fore': 1}, [('/fore', 'is unknown; allowed: topic, field, above')]),
    ({**ABOVE, 'state': 1}, [('/state', 'does not go with above; allowed: topic')]),
    ({**ABOVE, 'field': 'a..b'}, [('/field', "is 'a..b'; allowed: the path of a field")]),
    ({**ABOVE, 'field': 'a[x]'}, [('/field', "is 'a[x]'; allowed: the path")]),
    ({**ABOVE, 'type': 'x/Y'}, [('/type', "is 'x/Y'; allowed: a type, as sensor_msgs/msg")]),
    ({**ABOVE, 'every': 1}, [('/every', 'is 1; allowed: true, false')]),
    ({**TOPIC, 'within': [2, 1]}, [('/within', 'is from 2 to 1; allowed: an array of two')]),
    ({**TOPIC, 'within': [1, 'x']}, [('/within/1', "is 'x'; allowed: a number")]),
    ({**TOPIC, 'within': [1]}, [('/within', 'has 1 items; allowed: an array of two')]),
    ({**TOPIC, 'within': 1}, [('/within', 'is 1; allowed: an array of two')]),
    ({**TOPIC, 'outside': [0, 4], 'hysteresis': 2}, [('/hysteresis', 'is 2; allowed: less')]),
    ({**TOPIC, 'changes': False}, [('/changes', 'is false; allowed: true')]),
    ({**TOPIC, 'changes': True, 'for': 1}, [('/for', 'does not go with changes')]),
    ({**TOPIC, 'equals': 1, 'hysteresis': 1}, [('/hysteresis', 'does not go with equals')]),
    ({**TOPIC, 'equals': 'x' * 5000}, [('/equals', 'has 5002 characters; allowed: at most')]),
    ({**TOPIC, 'silent_sec': 1}, [('/field', 'does not go with silent_sec')]),
    ({'topic': '/a', 'silent_sec': 0}, [('/silent_sec', 'is 0; allowed: a number from 0.1')]),
    ({'topic': '/a', 'rate_above': 20}, [('/rate_above', 'is 20, which is not seen')]),
    (
        {'topic': '/a', 'rate_below': 15, 'hysteresis': 5},
        [('/rate_below', 'is 15 (and 5 of hysteresis), which is not seen')],
    ),
    ({'topic': '/a', 'rate_above': 0}, [('/rate_above', 'is 0; allowed: a number from 0.001')]),
    (
        {'topic': '/a', 'rate_above': 2, 'hysteresis': 2},
        [('/hysteresis', 'is 2; allowed: less than the rate, 2')],
    ),
    ({'node': '/a', 'present': 'no'}, [('/present', "is 'no'; allowed: true, false")]),
    ({'node': '/a*', 'parameter': 'x', 'above': 1}, [('/node', "is '/a*'; allowed: a full")]),
    ({'node': '/a', 'parameter': 'x'}, [('', 'has no test; allowed: one of changes')]),
    ({'node': '/a', 'above': 1}, [('/above', 'does not go with present')]),
    ({'publishers': '/a', 'rate_above': 1}, [('', 'has no test; allowed: one of changes')]),
    ({'lifecycle': '/a'}, [('', 'has no state; allowed: some of unconfigured')]),
    ({'lifecycle': '/a', 'state': ['on']}, [('/state/0', "is 'on'; allowed: unconfigured")]),
    ({'lifecycle': '/a', 'state': []}, [('/state', 'has 0 items; allowed: 1 to 10, of un')]),
    ({'lifecycle': '/a', 'state': 1}, [('/state', 'is 1; allowed: some of unconfigured')]),
    ({'diagnostics': '*', 'level': 2}, [('/level', 'is 2; allowed: OK, WARN, ERROR, STALE')]),
    ({'diagnostics': ' '}, [('/diagnostics', "is ' '; allowed"), ('', 'has no level')]),
    ({'interval_sec': 0.5}, [('/interval_sec', 'is 0.5; allowed: a number from 1')]),
    ({'cron': '@daily'}, [('/cron', "is '@daily'; allowed: five fields, minute hour day")]),
    ({'cron': '0 0 3 * * 1'}, [('/cron', "is '0 0 3 * * 1'; allowed: five fields")]),
    ({**CRON, 'missed': 'all'}, [('/missed', "is 'all'; allowed: skip, once")]),
    ({'script': 'a', 'status': 'running'}, [('/status', "is 'running'; allowed: completed")]),
    (
        {'script': 'a', 'status': ['any'] * 100_000},
        [('/status', 'has 100000 items; allowed: 1 to 3, of completed, failed, terminated')],
    ),
    ({'script': 'a', 'entity': 'areas/b'}, [('/entity', "is 'areas/b'; allowed: as apps/")]),
    ({'gateway': 'stopped'}, [('/gateway', "is 'stopped'; allowed: started")]),
    ({'all': []}, [('/all', 'is an empty array; allowed: an array of conditions')]),
    ({'any': {}}, [('/any', 'is an object; allowed: an array of conditions')]),
    ({'all': [ABOVE], 'topic': 1}, [('', 'has topic and all; allowed: one of')]),
    ({'all': [ABOVE], 'above': 1}, [('/above', 'does not go with all; allowed: all, for')]),
    ({'all': [CRON, {'interval_sec': 1}]}, [('/all', 'has moments that never come at once')]),
    ({'not': CRON}, [('/not/cron', 'is a moment, over as soon as it comes, and cannot')]),
    ({'all': [CRON, ABOVE], 'for': 1}, [('/all/0/cron', 'is a moment')]),
    ({'not': {'all': [{**TOPIC, 'changes': True}]}}, [('/not/all/0/changes', 'is a moment')]),
]


def read(document: object, **how: Any) -> tuple[Condition | None, list[Violation]]:
    violations: list[Violation] = []
    condition = parse_condition(document, '', violations, **{'moments': True, **how})
    return condition, violations


@pytest.mark.parametrize(('document', 'text'), GOOD, ids=[text for _, text in GOOD])
def test_a_condition_is_read_and_told_in_a_line(document: dict[str, Any], text: str) -> None:
    """It keeps the JSON as it was given."""
    condition, violations = read(document)
    assert violations == []
    assert condition is not None
    assert condition.document == document
    assert text in condition.text


@pytest.mark.parametrize(('document', 'wrong'), BAD, ids=[str(each)[:60] for each, _ in BAD])
def test_every_place_that_is_wrong_is_told(document: object, wrong: list[tuple[str, str]]) -> None:
    """By its pointer, with the value and what is allowed; then there is no condition."""
    condition, violations = read(document)
    assert condition is None
    assert [each.path for each in violations] == [path for path, _ in wrong]
    for violation, (_, reason) in zip(violations, wrong, strict=True):
        assert violation.reason.startswith(reason)


def test_all_violations_come_at_once() -> None:
    """Of all parts, however deep."""
    _, violations = read({'any': [{**ABOVE, 'for': 'x'}, {'not': {'cron': 'x'}}, {}], 'every': 1})
    assert [each.path for each in violations] == [
        *('/every', '/any/0/for', '/any/1/not/cron', '/any/1/not/cron', '/any/2')
    ]


def test_conditions_are_bounded() -> None:
    """At most eight levels, and 64 parts in all, which is said once."""
    deep: dict[str, Any] = ABOVE
    for _ in range(7):
        deep = {'not': deep}
    assert read(deep)[0] is not None
    _, (violation,) = read({'not': deep})
    assert violation.path == '/not' * 8
    assert 'at most 8 levels' in violation.reason
    assert read({'all': [ABOVE] * 63})[0] is not None
    _, (violation,) = read({'all': [ABOVE] * 70})
    assert violation.path == '/all/63'
    assert 'at most 64' in violation.reason


def test_what_sampling_sees_is_given() -> None:
    """A rate that is refused at 20 looks a second is fine at 100."""
    assert read({'topic': '/a', 'rate_above': 50}, max_rate_hz=100.0)[0] is not None


def test_moments_are_refused_in_preconditions() -> None:
    """With the reason, wherever they stand."""
    for document in (CRON, {**TOPIC, 'changes': True}, {'any': [ABOVE, CRON]}):
        _, (violation,) = read(document, moments=False)
        assert 'cannot stand in a precondition' in violation.reason


def test_a_precondition_is_a_condition_and_how_it_is_judged() -> None:
    """By default it is looked at once, with values of two seconds at most."""
    violations: list[Violation] = []
    plain = parse_precondition({'condition': ABOVE}, '', violations)
    assert plain is not None
    assert (plain.hold, plain.description, plain.max_age_sec) == (False, '', 2.0)
    document = {'condition': ABOVE, 'hold': True, 'description': 'cool', 'max_age_sec': 5}
    told = parse_precondition(document, '', violations)
    assert told is not None
    assert (told.hold, told.description, told.max_age_sec) == (True, 'cool', 5)
    assert told.document == document
    assert violations == []
    assert told == parse_precondition(document, '', violations)


@pytest.mark.parametrize(
    ('document', 'path', 'reason'),
    [
        (1, '/p', 'is 1; allowed: an object'),
        ({}, '/p', 'has no condition'),
        ({'condition': CRON}, '/p/condition/cron', 'is a moment'),
        ({'condition': ABOVE, 'hold': 1}, '/p/hold', 'is 1; allowed: true, false'),
        ({'condition': ABOVE, 'max_age_sec': 61}, '/p/max_age_sec', 'is 61; allowed: a number'),
        ({'condition': ABOVE, 'description': 1}, '/p/description', 'is 1; allowed: a text'),
        ({'condition': ABOVE, 'x': 1}, '/p/x', 'is unknown; allowed: condition, hold'),
        ({'condition': {**ABOVE, 'for': 61}}, '/p/condition', 'takes 61 s to be known'),
        (
            {'condition': {'topic': '/a', 'silent_sec': 59, 'for': 2}},
            '/p/condition',
            'takes 61 s to be known',
        ),
    ],
)
def test_a_precondition_that_is_wrong_is_refused(document: object, path: str, reason: str) -> None:
    """One that a start would wait for too long is."""
    violations: list[Violation] = []
    assert parse_precondition(document, '/p', violations) is None
    (violation,) = violations
    assert violation.path == path
    assert violation.reason.startswith(reason)


def test_preconditions_are_an_array_of_some() -> None:
    """Of sixteen at most."""
    violations: list[Violation] = []
    read = parse_preconditions([{'condition': ABOVE}] * 16, '/p', violations)
    assert read is not None
    assert len(read) == 16
    assert violations == []
    assert parse_preconditions([{'condition': ABOVE}] * 17, '/p', violations) is None
    assert parse_preconditions({}, '/p', violations) is None
    assert parse_preconditions([{'condition': {}}, 1], '/p', violations) is None
    assert [each.path for each in violations] == ['/p', '/p', '/p/0/condition', '/p/1']


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        [
            *('/a', '/a/b', 'x[0].y', '* * * * *', '0 3 30 2 *', 'active', 'WARN', 'started'),
            *('skip', 'failed', 'PASS', 'apps/x', 10**400, 1e308),
        ]
    )
)
NAMES = st.sampled_from([*KINDS, *FURTHER_FIELDS]) | st.text('ab/~', max_size=3)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(NAMES, inside, max_size=5),
    max_leaves=20,
)


def pointed(document: Any, pointer: str) -> Any:
    for token in pointer.split('/')[1:]:
        name = token.replace('~1', '/').replace('~0', '~')
        document = document[int(name) if isinstance(document, list) else name]
    return document


@given(document=DOCUMENTS, moments=st.booleans())
def test_whatever_comes_is_read_or_refused_at_a_place_that_exists(
    document: object, moments: bool
) -> None:
    """It never raises; exactly what is refused has violations."""
    condition, violations = read(document, moments=moments)
    assert (condition is None) == bool(violations)
    for violation in violations:
        pointed(document, violation.path)
        assert violation.reason


@given(document=st.lists(st.dictionaries(st.just('condition') | NAMES, DOCUMENTS, max_size=3)))
def test_whatever_comes_as_preconditions_is_read_or_refused(document: object) -> None:
    """So it is with them."""
    violations: list[Violation] = []
    preconditions = parse_preconditions(document, '', violations)
    assert (preconditions is None) == bool(violations)
    for violation in violations:
        pointed(document, violation.path)
