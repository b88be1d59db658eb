# SPDX-License-Identifier: Apache-2.0
"""What an evaluation shows, and what single rules mean, case by case."""

import json
import math
from typing import Any

import pytest

from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.evaluation import Evaluation
from gateway_node.conditions.sources import Reading
from gateway_node.conditions.values import Condition, ScriptEnd
from gateway_node.executions.values import FINAL_STATUSES as EXECUTION_ENDS
from gateway_node.masking import MASK
from gateway_node.scripts.values import Verdict

FIELD = {'topic': '/a', 'field': 'x'}
HOT = {**FIELD, 'above': 60}


def condition_of(document: dict[str, Any]) -> Condition:
    condition = parse_condition(document, '', [], moments=True)
    assert condition is not None
    return condition


class Evaluated:
    """A condition of one source, told values as time goes on."""

    def __init__(self, document: dict[str, Any], last: bool | None = None) -> None:
        self.condition = condition_of(document)
        self.evaluation = Evaluation(self.condition, 0.0, last)
        self.now = 0.0

    def __call__(self, value: Any = None, after: float = 1.0, **how: Any) -> bool:
        """Tell the next value, and return whether it fires."""
        self.now += after
        reading = Reading(at=self.now, value=value, **how)
        return self.evaluation.take(dict.fromkeys(self.condition.sources, reading), self.now)

    @property
    def truth(self) -> bool | None:
        return self.evaluation.truth

    def shown(self) -> dict[str, Any]:
        return self.evaluation.shown(self.now, lambda at: f'at {at:g}')


def test_it_fires_when_it_becomes_true_after_it_was_false() -> None:
    """Not while it stays true."""
    hot = Evaluated(HOT)
    assert [hot(value) for value in (50, 61, 70, 60, 61)] == [False, True, False, False, True]


def test_what_is_true_from_the_start_does_not_fire() -> None:
    """It was not false before."""
    hot = Evaluated(HOT)
    assert [hot(value) for value in (70, 50, 70)] == [False, False, True]


@pytest.mark.parametrize(('last', 'fires'), [(None, False), (True, False), (False, True)])
def test_what_was_known_last_counts(last: bool | None, fires: bool) -> None:
    """Over a restart: where it was false and is now true it fires."""
    assert Evaluated(HOT, last)(70) is fires


def test_what_is_not_known_in_between_changes_nothing() -> None:
    """True, not known, true does not fire; false, not known, true does."""
    hot = Evaluated(HOT)
    hot(50)
    assert hot(70)
    assert not hot(fault='/a is gone')
    assert hot.truth is None
    assert hot.evaluation.known is True
    assert not hot(71)
    hot(50)
    hot(fault='/a is gone')
    assert hot(70)


def test_a_gap_in_what_is_held_is_no_new_firing() -> None:
    """Not known within the time that it has to hold is not false."""
    held = Evaluated({**HOT, 'for': 5})
    held(50)
    held(70)
    assert held.evaluation.due == 7
    assert held.evaluation.tick(7)
    held(fault='/a is gone', after=8)
    held(70)
    assert held.truth is None
    assert not held.evaluation.tick(20)
    assert held.truth is True


def test_why_it_is_not_true_is_shown() -> None:
    """The fault, what was read, how long it has held."""
    held = Evaluated({**HOT, 'for': 5})
    assert held.shown() == {
        'condition': '/a x above 60 for 5 s',
        'truth': None,
        'since': 'at 0',
        'why': 'nothing was read yet',
    }
    held('warm')
    assert held.shown()['why'] == "is 'warm': allowed: a number"
    assert held.shown()['value'] == 'warm'
    held(fault='the type p/msg/T is not installed')
    assert held.shown()['why'] == 'the type p/msg/T is not installed'
    held(50)
    held(61)
    held(62, after=3)
    shown = held.shown()
    assert shown['why'] == 'held 3 of 5 s'
    assert (shown['truth'], shown['since'], shown['value'], shown['at']) == (
        *(False, 'at 3', 62, 'at 7'),
    )
    held(63, after=2)
    assert held.truth is True
    assert 'why' not in held.shown()


def test_each_part_is_shown() -> None:
    """With its own truth and value, however deep."""
    both = Evaluated({'all': [HOT, {'not': {**FIELD, 'equals': 61}}]})
    both(61)
    shown = both.shown()
    assert shown['truth'] is False
    assert [part['truth'] for part in shown['parts']] == [True, False]
    assert shown['parts'][1]['parts'][0]['value'] == 61
    json.dumps(shown)


def test_the_values_that_fired_are_kept() -> None:
    """As they were then, whatever is read afterwards."""
    either = Evaluated({'any': [HOT, {**FIELD, 'below': 0}]})
    either(50)
    assert either(70)
    either(40)
    assert either.evaluation.values() == [
        {'condition': '/a x above 60', 'truth': True, 'value': 70},
        {'condition': '/a x below 0', 'truth': False, 'value': 70},
    ]


@pytest.mark.parametrize('test', [{'equals': 'x'}, {'above': 3}, {'changes': True}])
def test_what_looks_like_a_secret_is_judged_and_never_shown(test: dict[str, Any]) -> None:
    """A parameter whose name says so, as in evidence: neither while it is looked at, nor in what
    fired, nor in why it cannot be judged."""
    evaluated = Evaluated({'node': '/camera', 'parameter': 'cloud.api_key', **test})
    evaluated('s3cret')
    fires = evaluated('s3cret, too')
    assert fires is ('changes' in test)
    assert evaluated.shown()['value'] == MASK
    told = [each['value'] for each in evaluated.evaluation.values()]
    assert told == ([MASK] if fires else [])
    assert 's3cret' not in str(evaluated.shown())


def test_fields_of_one_message_are_judged_together() -> None:
    """Taken at once, no new value stands beside an old one."""
    both = condition_of({'all': [{**FIELD, 'above': 5}, {**FIELD, 'field': 'y', 'below': 3}]})
    x, y = both.sources
    evaluation = Evaluation(both, 0.0)
    first = {x: Reading(at=1, value=3), y: Reading(at=1, value=1)}
    second = {x: Reading(at=2, value=7), y: Reading(at=2, value=9)}
    assert not evaluation.take(first, 1)
    assert not evaluation.take(second, 2)
    assert not evaluation.take({x: Reading(at=3, value=3)}, 3)


@pytest.mark.parametrize(
    ('document', 'value', 'truth'),
    [
        ({'above': 0}, math.nan, None),
        ({'above': 0}, math.inf, True),
        ({'below': 0}, math.inf, False),
        ({'below': 0}, -math.inf, True),
        ({'outside': [0, 1]}, math.inf, True),
        ({'within': [0, 1]}, math.nan, None),
        ({'equals': 0}, math.nan, False),
        ({'equals': 1}, True, False),
        ({'equals': True}, 1, False),
        ({'equals': 1}, 1.0, True),
        ({'equals': [1, {'a': None}]}, [1.0, {'a': None}], True),
        ({'equals': [1]}, [True], False),
        ({'above': 0}, True, None),
        ({'above': 0}, None, None),
        ({'above': 2**60}, 2**60 + 1, True),
    ],
)
def test_numbers_are_those_of_json(
    document: dict[str, Any], value: Any, truth: bool | None
) -> None:
    """Booleans are none, NaN is none, infinity is beyond every other."""
    each = Evaluated({**FIELD, **document})
    each(value)
    assert each.truth is truth
    json.dumps(each.shown(), allow_nan=False)


def test_nan_is_no_change_of_nan() -> None:
    """Of any other value it is one."""
    change = Evaluated({**FIELD, 'changes': True})
    values = (math.nan, math.nan, 1, 1.0, True, math.nan)
    assert [change(value) for value in values] == [False, False, True, False, True, True]


def test_an_infinite_value_has_no_rate() -> None:
    """And the rate begins anew after it."""
    rate = Evaluated({**FIELD, 'rate_above': 1})
    rate(0)
    rate(5)
    assert rate.truth is True
    rate(math.inf)
    assert rate.truth is None
    assert rate.shown()['why'] == 'is infinite, and has no rate'
    rate(0)
    assert rate.truth is None
    rate(5)
    assert rate.truth is True


def test_a_message_of_long_ago_that_is_told_again_is_silence() -> None:
    """Who begins to look at a topic that is silent already sees no silence begin."""
    silent = Evaluated({'topic': '/a', 'silent_sec': 5})
    old = Reading(at=-60.0)
    assert not silent.evaluation.take(dict.fromkeys(silent.condition.sources, old), 0.1)
    assert silent.truth is True


def test_silence_begins_where_a_driver_dies() -> None:
    """Nobody publishes any more; any other fault makes it unknown."""
    silent = Evaluated({'topic': '/a', 'silent_sec': 5})
    silent()
    silent(fault='nobody publishes /a', unpublished=True)
    assert silent.truth is False
    assert silent.evaluation.tick(6)
    silent.now = 6
    silent(fault='the type is not installed')
    assert silent.truth is None
    assert silent.shown()['why'] == 'the type is not installed'


def test_long_values_are_shown_in_part() -> None:
    """So that a firing stays a small event."""
    change = Evaluated({**FIELD, 'changes': True})
    change('x')
    change('y' * 100_000)
    assert len(json.dumps(change.evaluation.values())) < 1000
    change([0.5] * 100_000)
    assert len(json.dumps(change.shown())) < 1000


def test_a_moment_fires_where_the_rest_is_true_then() -> None:
    """And is shown with what was told of it."""
    condition = condition_of({'all': [{'script': 'check', 'verdict': 'FAIL'}, HOT]})
    (moment,), (source,) = condition.moments, condition.sources
    evaluation = Evaluation(condition, 0.0)
    told = {'execution': 'exec_1'}
    assert not evaluation.happened(moment, 1, told)
    assert not evaluation.take({source: Reading(at=2, value=61)}, 2)
    assert evaluation.happened(moment, 3, told)
    assert evaluation.truth is False
    end, hot = evaluation.values()
    assert end == {'condition': 'end of check (FAIL)', 'truth': True, 'value': told}
    assert hot['value'] == 61


def test_an_interval_comes_at_its_times_however_late_it_is_asked() -> None:
    """Once for all that passed meanwhile."""
    evaluation = Evaluation(condition_of({'interval_sec': 10}), 5.0)
    assert evaluation.due == 15
    assert not evaluation.tick(14.9)
    assert evaluation.tick(15)
    assert evaluation.tick(57)
    assert evaluation.due == 65


def test_the_end_of_a_script_is_the_one_that_is_meant() -> None:
    """By name or id, entity, status and verdict."""
    end = condition_of({'script': 'check', 'entity': 'apps/a', 'verdict': ['FAIL', 'WARN']})
    assert isinstance(end, ScriptEnd)
    meant: dict[str, Any] = {
        'script_id': 'script_1',
        'script_name': 'check',
        'entity': 'apps/a',
        'status': 'completed',
        'verdict': 'WARN',
    }
    assert end.fits(**meant)
    others: list[dict[str, Any]] = [
        *({'script_name': 'other'}, {'entity': 'apps/b'}, {'verdict': None}, {'verdict': 'PASS'}),
    ]
    assert not any(end.fits(**meant | other) for other in others)
    assert end.fits(**meant | {'script_id': 'check', 'script_name': 'x'})


def test_words_of_other_rooms_are_theirs() -> None:
    """Conditions stand below scripts and executions, and name what those call so."""
    every = condition_of({'script': 'x'})
    assert isinstance(every, ScriptEnd)
    assert set(every.statuses) == {each.value for each in EXECUTION_ENDS}
    verdicts = [each.value for each in Verdict]
    assert condition_of({'script': 'x', 'verdict': verdicts})


def test_what_holds_has_to_hold_from_the_last_value_that_did_not() -> None:
    """Though values in between that were judged like those before them changed nothing."""
    held = Evaluated({**HOT, 'for': 3})
    assert [held(value) for value in (50, 51, 52, 61, 62, 63)] == [False] * 6
    assert held.truth is False
    assert held(64)
    assert held.shown()['value'] == 64


def test_a_value_that_changes_no_truth_is_shown_all_the_same() -> None:
    """With when it was read."""
    hot = Evaluated(HOT)
    hot(50)
    hot(51)
    assert (hot.shown()['value'], hot.shown()['at'], hot.shown()['since']) == (51, 'at 2', 'at 1')
