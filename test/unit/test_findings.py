# SPDX-License-Identifier: Apache-2.0
"""What a result says that a script found, and what of it is not taken."""

import json
import time
from typing import Any

from hypothesis import given, strategies
import pytest

from gateway_node.executions.findings import (
    Check,
    Findings,
    findings_of,
    MAX_CHECKS,
    MAX_METRICS,
    MAX_TEXT_CHARACTERS,
)
from gateway_node.scripts.values import Verdict
from gateway_node.strict_json import parse

PASS, WARN, FAIL, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.SKIP
ALLOWED = 'allowed: PASS, WARN, FAIL, SKIP'
JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(10**400), 10**400)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=600)
    | strategies.sampled_from([each.value for each in Verdict]),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.sampled_from(['name', 'verdict', 'value', 'unit', 'expected', 'hint'])
            | strategies.text(max_size=70),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def complaint(result: dict[str, Any]) -> str:
    """Return the one sentence on what is wrong."""
    (sentence,) = findings_of(result).complaints
    return sentence


def test_a_result_tells_what_was_found() -> None:
    """Verdict, summary, checks and metrics; whatever else it has is no matter."""
    result = {
        'verdict': 'WARN',
        'summary': 'the tank is nearly empty',
        'checks': [
            {
                'name': 'level',
                'verdict': 'WARN',
                'value': 4.5,
                'unit': 'l',
                'expected': [10, 60],
                'hint': 'fill it up',
            },
            {'name': 'cap', 'verdict': 'PASS', 'value': False, 'colour': 'red'},
        ],
        'metrics': {'litres': 4.5, 'leaks': 0},
        'other': {},
    }
    assert findings_of(result) == Findings(
        verdict=WARN,
        summary='the tank is nearly empty',
        checks=(
            Check(
                name='level',
                verdict=WARN,
                value=4.5,
                unit='l',
                expected=[10, 60],
                hint='fill it up',
            ),
            Check(name='cap', verdict=PASS, value=False),
        ),
        metrics={'litres': 4.5, 'leaks': 0},
    )


@pytest.mark.parametrize(
    'result',
    [
        None,
        {},
        {'stdout': 'verdict', 'stderr': '', 'exit_code': 0},
        {'verdict': None, 'summary': None, 'checks': None, 'metrics': None},
        {'checks': [], 'metrics': {}},
    ],
)
def test_most_results_say_nothing_of_it(result: dict[str, Any] | None) -> None:
    """And nothing is wrong with that; `null` and what is empty say nothing."""
    assert findings_of(result) == Findings()


@pytest.mark.parametrize('value', ['pass', 'OK', '', 'PASS ', 1, True, ['PASS'], {'PASS': 1}])
def test_a_verdict_is_one_of_four(value: object) -> None:
    """In this spelling: who reads `parameters` and who filters lists see the same word."""
    findings = findings_of({'verdict': value})
    assert findings.verdict is findings.verdict_of_all is None
    (sentence,) = findings.complaints
    assert sentence.startswith("the result's /verdict is ")
    assert sentence.endswith(f'; {ALLOWED}')


@pytest.mark.parametrize(
    ('checks', 'verdict'),
    [
        ([], None),
        (['SKIP', 'SKIP'], SKIP),
        (['SKIP', 'PASS', 'SKIP'], PASS),
        (['PASS', 'WARN', 'PASS'], WARN),
        (['WARN', 'FAIL', 'PASS'], FAIL),
        (['PASS', 'FINE'], None),
        (['WARN', None], None),
        (['FAIL', 'FINE'], FAIL),
        (['PASS'] * MAX_CHECKS + ['FAIL'], None),
        (['FAIL'] * MAX_CHECKS + ['PASS'], FAIL),
    ],
)
def test_without_a_verdict_the_worst_check_is_it(
    checks: list[str | None], verdict: Verdict | None
) -> None:
    """Where the verdict of one is not known, it could be the worst: then only FAIL is certain."""
    result = {'checks': [{'name': 'a', 'verdict': each} for each in checks]}
    assert findings_of(result).verdict_of_all is verdict
    assert findings_of(result | {'verdict': 'SKIP'}).verdict_of_all is SKIP


@pytest.mark.parametrize(
    ('check', 'reason'),
    [
        (7, ' is 7; allowed: an object'),
        ({'verdict': 'PASS'}, ' has no name'),
        ({'name': 'a', 'verdict': None}, ' has no verdict'),
        ({'name': 'a', 'verdict': 'ok'}, f"/verdict is 'ok'; {ALLOWED}"),
        ({'name': '\n', 'verdict': 'PASS'}, "/name is '\\n'; allowed: a text that is not empty"),
        ({'name': 5, 'verdict': 'PASS'}, '/name is 5; allowed: a text that is not empty'),
    ],
)
def test_a_check_has_a_name_and_a_verdict(check: object, reason: str) -> None:
    """One without is left out and named; the others stay."""
    findings = findings_of({'checks': [{'name': 'good', 'verdict': 'PASS'}, check]})
    assert findings.checks == (Check(name='good', verdict=PASS),)
    assert findings.complaints == (f"the result's /checks/1{reason}",)


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('unit', 5, 'is 5; allowed: a text that is not empty'),
        ('hint', ['look'], 'is an array; allowed: a text that is not empty'),
        ('value', ['x' * 300] * 2, 'is too long; allowed: at most 500 characters of JSON'),
        ('value', 10**600, 'is too long; allowed: at most 500 characters of JSON'),
        ('expected', {'a': 'x' * 2**20}, 'is too long; allowed: at most 500 characters of JSON'),
    ],
)
def test_what_else_is_wrong_with_a_check_is_left_out_of_it(
    field: str, value: object, reason: str
) -> None:
    """Its verdict counts all the same."""
    findings = findings_of({'checks': [{'name': 'a', 'verdict': 'FAIL', field: value}]})
    assert findings.checks == (Check(name='a', verdict=FAIL),)
    assert findings.complaints == (f"the result's /checks/0/{field} {reason}",)


def test_checks_of_one_name_are_both_kept() -> None:
    """One for each wheel, say."""
    checks = [{'name': 'brake', 'verdict': 'PASS', 'value': each} for each in (1, 2)]
    assert [check.value for check in findings_of({'checks': checks}).checks] == [1, 2]


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        (True, 'is true'),
        ('5', "is '5'"),
        (None, 'is null'),
        ([1], 'is an array'),
        (10**400, 'is a number with more than 77 digits'),
    ],
)
def test_a_metric_is_a_number_that_a_double_holds(value: object, reason: str) -> None:
    """Nor is true one, though Python counts it as such; the others stay."""
    result = {'metrics': {'a': 1, 'b/c': value}}
    assert findings_of(result).metrics == {'a': 1}
    assert complaint(result) == f"the result's /metrics/b~1c {reason}; allowed: a number"


def test_a_large_metric_is_rounded_as_a_double_is() -> None:
    """So that a list and a series tell the same number."""
    given = {'exact': 2**53, 'large': 2**53 + 1, 'huge': -(10**300), 'small': 5e-324}
    metrics = findings_of({'metrics': given}).metrics
    assert [repr(value) for value in metrics.values()] == [
        '9007199254740992',
        '9007199254740992.0',
        '-1e+300',
        '5e-324',
    ]


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('', "is empty: ''"),
        (' ', "is empty: ' '"),
        ('a\nb', "has the control character U+000A: 'a\\nb'"),
        ('\ud800', "has the control character U+D800: '\\ud800'"),
        ('x' * 65, f"has 65 characters; allowed: at most 64: '{'x' * 65}'"),
    ],
)
def test_a_metrics_name_is_taken_as_it_is_or_not_at_all(name: str, reason: str) -> None:
    """It is what a series is asked for by."""
    assert findings_of({'metrics': {name: 1}}).metrics == {}
    assert complaint({'metrics': {name: 1}}) == f"the result's /metrics has a name that {reason}"


def test_what_is_too_much_is_cut_and_told() -> None:
    """Lists and the status topic carry a summary and metrics, so both have a bound."""
    many = {f'm{number}': number for number in range(MAX_METRICS + 6)}
    findings = findings_of({'summary': 'ü' * 2**20, 'metrics': many})
    assert findings.summary == 'ü' * (MAX_TEXT_CHARACTERS - 1) + '…'
    assert len(findings.metrics) == MAX_METRICS
    assert findings.complaints == (
        "the result's /summary has 1048576 characters; kept: the first 500",
        "the result's /metrics has 70 entries; kept: the first 64",
    )


def test_a_text_is_one_line() -> None:
    """A log, a terminal and a cell of a table show it; `parameters` has it as it was."""
    text = ' The tank\n\tis \x1b[31mempty\x00\u202e \ud800'
    assert findings_of({'summary': text}).summary == 'The tank is [31mempty'


def test_of_many_mistakes_one_sentence_each_is_told() -> None:
    """They are warnings of the execution, which has room for twenty."""
    result = {
        'verdict': 'good',
        'summary': 1,
        'checks': [{}, {'name': 'a'}, 'b'],
        'metrics': {'a': 'x', 'b': []},
    }
    assert findings_of(result).complaints == (
        "the result's /checks/0 has no name (and 3 more)",
        f"the result's /verdict is 'good'; {ALLOWED}",
        "the result's /summary is 1; allowed: a text that is not empty",
        "the result's /metrics/a is 'x'; allowed: a number (and 1 more)",
    )


@pytest.mark.parametrize(
    'result',
    [
        {'checks': [{'name': 'a', 'verdict': 'PASS'}] * 10_000},
        {'checks': [{}] * 300_000},
        {'checks': [{'name': 'a' * 2000, 'verdict': 'x' * 5}] * MAX_CHECKS},
        {'checks': [dict.fromkeys(('name', 'hint'), 'ü\x85' * 500)] * MAX_CHECKS},
        {'checks': [{'name': 'a', 'verdict': 'PASS', 'value': [0] * 500_000}]},
        {'metrics': {str(number): 0 for number in range(100_000)}},
    ],
)
def test_only_what_is_kept_is_looked_at(result: dict[str, Any]) -> None:
    """This runs on the event loop: the work is bounded, whatever a script says."""
    begun = time.process_time()
    assert findings_of(result).complaints
    assert time.process_time() - begun < 1


@given(
    strategies.fixed_dictionaries(
        {}, optional=dict.fromkeys(['verdict', 'summary', 'checks', 'metrics'], JSON)
    )
)
def test_nothing_that_a_script_says_is_beyond_the_bounds(result: dict[str, Any]) -> None:
    """Whatever the result, what is kept of it can be served, within the schema of the answer."""
    before = json.dumps(result)
    findings = findings_of(result)
    assert json.dumps(result) == before
    assert len(findings.complaints) <= 4
    texts = [findings.summary]
    for check in findings.checks:
        texts += [check.name, check.unit, check.hint]
        for value in (check.value, check.expected):
            parse(json.dumps([value]).encode())
            assert len(json.dumps(value)) <= 8 * MAX_TEXT_CHARACTERS
    for text in filter(None, texts):
        assert 0 < len(text) <= MAX_TEXT_CHARACTERS
        assert text.encode().decode().splitlines() == [text]
    parse(json.dumps(dict(findings.metrics)).encode())
