# SPDX-License-Identifier: Apache-2.0
"""What a Python script says that it found becomes one result, whatever the order of calls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from gateway_node import script
from gateway_node.child.script import script_api
from gateway_node.executions.findings import Check, findings_of
from gateway_node.scripts.values import Verdict


@pytest.fixture
def result_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the result of a script that has said nothing yet goes."""
    monkeypatch.setattr(script_api, '_said', fresh())
    path = tmp_path / 'result'
    monkeypatch.setenv('GATEWAY_RESULT', str(path))
    return path


def fresh() -> dict[str, Any]:
    """Return what a script has said that begins."""
    return {'given': {}, 'verdict': {}, 'checks': [], 'metrics': {}}


CALLS: list[Callable[[], None]] = [
    lambda: script.result({'a': 1, 'metrics': {'litres': 1, 'm': 1}, 'verdict': 'PASS'}),
    lambda: script.check('level', False, value=4.5, unit='l', expected=[10, 60], hint='fill it'),
    lambda: script.metric('litres', 4.5),
    lambda: script.verdict('WARN', 'nearly empty'),
]


@pytest.mark.parametrize('calls', list(itertools.permutations(CALLS)))
def test_calls_make_one_result_in_any_order(
    result_file: Path, calls: tuple[Callable[[], None], ...]
) -> None:
    """What the functions say comes on top of what `result` gives."""
    for call in calls:
        call()
    result = json.loads(result_file.read_text())
    assert result == {
        'a': 1,
        'verdict': 'WARN',
        'summary': 'nearly empty',
        'checks': [
            {
                'name': 'level',
                'verdict': 'FAIL',
                'value': 4.5,
                'unit': 'l',
                'expected': [10, 60],
                'hint': 'fill it',
            }
        ],
        'metrics': {'litres': 4.5, 'm': 1},
    }
    assert not findings_of(result).complaints


def test_each_call_is_written_at_once(result_file: Path) -> None:
    """A script may be killed at any moment."""
    for number in range(3):
        script.check('brake', 'PASS', value=number)
        result = json.loads(result_file.read_text())
        assert [each['value'] for each in result['checks']] == list(range(number + 1))


def test_checks_add_up_and_the_last_verdict_and_metric_count(result_file: Path) -> None:
    """A later verdict does not stand with an earlier summary."""
    script.verdict('FAIL', 'no power')
    script.verdict('PASS')
    script.metric('volts', 11)
    script.metric('volts', 12)
    script.check('a', True)
    script.check('a', None)
    script.result({'checks': [{'name': 'own', 'verdict': 'SKIP'}], 'x': 1})
    script.result({'checks': [{'name': 'other', 'verdict': 'SKIP'}]})
    result = json.loads(result_file.read_text())
    assert result.keys() == {'verdict', 'metrics', 'checks'}
    findings = findings_of(result)
    assert (findings.verdict, findings.metrics) == (Verdict.PASS, {'volts': 12})
    assert findings.checks == (
        Check(name='other', verdict=Verdict.SKIP),
        Check(name='a', verdict=Verdict.PASS),
        Check(name='a', verdict=Verdict.FAIL),
    )


def test_a_result_that_has_something_else_by_these_names_gives_way(result_file: Path) -> None:
    """To what the functions say; without them it is as it was given."""
    script.result({'checks': 5, 'metrics': [1]})
    assert json.loads(result_file.read_text()) == {'checks': 5, 'metrics': [1]}
    script.check('a', True)
    script.metric('1', 2)
    script.result({'checks': 5, 'metrics': {1: 3}})
    assert json.loads(result_file.read_text()) == {
        'metrics': {'1': 2},
        'checks': [{'name': 'a', 'verdict': 'PASS'}],
    }


@pytest.mark.parametrize(
    ('call', 'complaint'),
    [
        (lambda: script.verdict('pass'), "one of PASS, WARN, FAIL, SKIP, not 'pass'"),
        (lambda: script.check('a', 'ok'), "one of PASS, WARN, FAIL, SKIP, not 'ok'"),
        (lambda: script.metric('a', math.nan), 'a finite number, not nan'),
        (lambda: script.metric('a', -math.inf), 'a finite number, not -inf'),
        (lambda: script.metric('a', True), 'a finite number, not True'),
        (lambda: script.metric('a', 10**400), 'a finite number, not 10'),
        (lambda: script.check('a', True, value=math.nan), 'NaN'),
        (lambda: script.check('a', True, expected=['\ud800']), 'lone surrogate'),
        (lambda: script.check('a', True, value={1: 0, '1': 0}), 'a name twice'),
        (lambda: script.check('a', True, hint='x' * 2**20), 'at most 1048576 bytes'),
        (lambda: script.check('a', True, value=json.loads('[' * 62 + ']' * 62)), 'deeper than 64'),
    ],
)
def test_a_mistake_is_an_error_in_the_script(
    result_file: Path, call: Callable[[], None], complaint: str
) -> None:
    """Its author hears of it where it is made; what was said before stays."""
    script.check('before', True)
    before = result_file.read_text()
    with pytest.raises(ValueError, match=complaint):
        call()
    assert result_file.read_text() == before
    script.metric('after', 1)
    assert json.loads(result_file.read_text()) == json.loads(before) | {'metrics': {'after': 1}}


@pytest.mark.parametrize('value', ['5', None, [1]])
def test_a_metric_of_another_type_is_an_error(result_file: Path, value: Any) -> None:
    """As with any function of numbers."""
    with pytest.raises(TypeError):
        script.metric('a', value)
    assert not result_file.exists()


def test_what_counts_as_a_number_elsewhere_is_one_here(result_file: Path) -> None:
    """Libraries have types of their own for numbers and truth."""

    class Single:
        def __float__(self) -> float:
            return 0.5

        def __bool__(self) -> bool:
            return False

    script.metric('a', Single())  # type: ignore[arg-type]
    script.check('b', Single())
    findings = findings_of(json.loads(result_file.read_text()))
    assert findings.metrics == {'a': 0.5}
    assert findings.checks[0].verdict is Verdict.FAIL


def test_a_name_with_a_lone_surrogate_is_heard(result_file: Path) -> None:
    """A file name that is no UTF-8 does not cost a script its findings."""
    script.check('\udcff', 'SKIP', unit='\udcff', hint='\udcff')
    script.verdict('PASS', 'read \udcff')
    script.metric('\udcff', 1)
    findings = findings_of(json.loads(result_file.read_text()))
    assert findings.checks == (Check(name='?', verdict=Verdict.SKIP, unit='?', hint='?'),)
    assert (findings.summary, findings.metrics) == ('read ?', {'?': 1})


def test_threads_may_check_at_the_same_time(result_file: Path) -> None:
    """None of what they say is lost."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: script.check(str(number), True), range(200)))
    checks = findings_of(json.loads(result_file.read_text())).checks
    assert sorted(int(check.name) for check in checks) == list(range(200))


def test_by_hand_each_call_prints_what_it_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nobody else to hear it."""
    monkeypatch.setattr(script_api, '_said', fresh())
    monkeypatch.delenv('GATEWAY_RESULT', raising=False)
    for call in CALLS[1:]:
        call()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {
            'checks': [
                {
                    'name': 'level',
                    'verdict': 'FAIL',
                    'value': 4.5,
                    'unit': 'l',
                    'expected': [10, 60],
                    'hint': 'fill it',
                }
            ]
        },
        {'metrics': {'litres': 4.5}},
        {'verdict': 'WARN', 'summary': 'nearly empty'},
    ]
