# SPDX-License-Identifier: Apache-2.0
"""What a condition means, written down plainly: from the whole history, for any moment of it.

It shares nothing with the evaluation but the values of conditions and readings. A history is a
list of what was told, in order; at equal times the later one is the later one.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

from gateway_node.conditions.condition_words import LEVELS
from gateway_node.conditions.levels import (
    FieldRate,
    MessageRate,
    Present,
    Silence,
    ValueHolds,
)
from gateway_node.conditions.sources import Reading, RobotSource
from gateway_node.conditions.value_tests import (
    Above,
    AtLevel,
    Below,
    Equals,
    OneOf,
    Outside,
    Within,
)
from gateway_node.conditions.values import (
    AllOf,
    AnyOf,
    Changes,
    Condition,
    Interval,
    Not,
    OutsideMoment,
)

Truth = bool | None


@dataclass(frozen=True)
class Told:
    """One thing that an evaluation was told, and when."""

    now: float
    readings: tuple[tuple[RobotSource, Reading], ...] = ()
    moment: OutsideMoment | None = None


@dataclass(frozen=True)
class Message:
    """Messages of a topic: when they were told, when they came, how many."""

    told: float
    at: float
    number: int


@dataclass(frozen=True)
class History:
    """All that was told, from the beginning until the present."""

    begin: float
    told: tuple[Told, ...]

    def readings(self, source: RobotSource) -> list[tuple[int, float, Reading]]:
        """Return what was read of one source: which entry it was, when it was told, what."""
        return [
            (index, each.now, reading)
            for index, each in enumerate(self.told)
            for name, reading in each.readings
            if name == source
        ]


def truths(condition: Condition, history: History, until: float) -> list[tuple[float, Truth]]:
    """Return what the condition is, as steps: from when on, and what; the first from the begin on.

    Several steps at one time stay: what was true for no time was true.
    """
    raw = _raw(condition, history, until)
    for_sec: float = getattr(condition, 'for_sec', 0)
    return _held(raw, for_sec, until) if for_sec else raw


def _at(steps: list[tuple[float, Truth]], now: float) -> Truth:
    """Return what holds at a time, after all that came at it."""
    return [truth for since, truth in steps if since <= now][-1]


def _raw(condition: Condition, history: History, until: float) -> list[tuple[float, Truth]]:
    if isinstance(condition, Not):
        inside = truths(condition.part, history, until)
        return [(since, None if truth is None else not truth) for since, truth in inside]
    if isinstance(condition, (AllOf, AnyOf)):
        return _together(condition, history, until)
    if isinstance(condition, (ValueHolds, Present)):
        return _value_steps(condition, history)
    if isinstance(condition, FieldRate):
        return _slope_steps(condition, history)
    if isinstance(condition, MessageRate):
        return _count_steps(condition, history, until)
    if isinstance(condition, Silence):
        return _silence_steps(condition, history, until)
    return [(history.begin, False)]


def _together(
    condition: AllOf | AnyOf, history: History, until: float
) -> list[tuple[float, Truth]]:
    """Kleene: `all` is the least of false < unknown < true, `any` the greatest."""
    inside = [truths(part, history, until) for part in condition.parts]
    order: list[Truth] = [False, None, True]
    pick: Callable[[list[int]], int] = min if isinstance(condition, AllOf) else max
    return [
        (now, order[pick([order.index(_at(steps, now)) for steps in inside])])
        for now in sorted({since for steps in inside for since, _ in steps})
    ]


def _held(
    raw: list[tuple[float, Truth]], for_sec: float, until: float
) -> list[tuple[float, Truth]]:
    """At each time, the least truth that there was in the `for_sec` before it."""
    ends = [since for since, _ in raw[1:]] + [math.inf]
    moments = {raw[0][0]}
    for since, _ in raw:
        moments |= {since, since + for_sec}
    result = []
    for now in sorted(each for each in moments if each <= until):
        # A piece counts up to its end, and that end for as long as it is less than that ago.
        pieces = [
            truth
            for (since, truth), end in zip(raw, ends, strict=True)
            if since <= now and (end > now or end + for_sec > now)
        ]
        before_the_begin = raw[0][0] + for_sec > now
        least: Truth = False not in pieces
        if least and (None in pieces or before_the_begin):
            least = None
        result.append((now, least))
    return result


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value == value


def _alike(one: Any, other: Any) -> bool:
    """Equal as JSON: numbers by value, everything else by type and value."""
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(
            _alike(a, b) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, dict):
        return set(one) == set(other) and all(_alike(one[name], other[name]) for name in one)
    return bool(one == other) or (one != one and other != other)


def passes(test: Any, value: Any, before: bool) -> Truth:
    """Return what a test makes of a value, after the one before it."""
    if isinstance(test, Equals):
        return _alike(test.value, value)
    if isinstance(test, OneOf):
        return value in test.words
    if isinstance(test, AtLevel):
        return value is not None and value['level'] >= LEVELS[test.level]
    if not _is_number(value):
        return None
    back = test.hysteresis if before else 0
    if isinstance(test, Above):
        return bool(value > test.limit - back)
    if isinstance(test, Below):
        return bool(value < test.limit + back)
    if isinstance(test, Within):
        return bool(test.low - back <= value <= test.high + back)
    assert isinstance(test, Outside)
    return bool(value < test.low + back or value > test.high - back)


def _value_steps(condition: ValueHolds | Present, history: History) -> list[tuple[float, Truth]]:
    test = Equals(value=condition.present) if isinstance(condition, Present) else condition.test
    steps: list[tuple[float, Truth]] = [(history.begin, None)]
    for _, now, reading in history.readings(condition.source):
        known = [truth for _, truth in steps if truth is not None]
        before = bool(known and known[-1])
        steps.append((now, None if reading.fault else passes(test, reading.value, before)))
    return steps


def _slope_steps(condition: FieldRate, history: History) -> list[tuple[float, Truth]]:
    steps: list[tuple[float, Truth]] = [(history.begin, None)]
    row: list[Reading] = []
    for _, now, reading in history.readings(condition.source):
        good = not reading.fault and _is_number(reading.value) and abs(reading.value) < math.inf
        row = [*row, reading] if good else []
        old = [each for each in row if each.at + 1.0 <= reading.at]
        if not old:
            steps.append((now, None))
            continue
        rate = (reading.value - old[-1].value) / (reading.at - old[-1].at)
        known = [truth for _, truth in steps if truth is not None]
        steps.append((now, passes(condition.test, rate, bool(known and known[-1]))))
    return steps


def _listening(source: RobotSource, history: History) -> list[tuple[float, float, list[Message]]]:
    """Return the times in which every message would have been heard: begin, end, messages."""
    spans: list[tuple[float, float, list[Message]]] = []
    begin: float | None = history.begin
    messages: list[Message] = []
    for _, now, reading in history.readings(source):
        deaf = bool(reading.fault) and not reading.unpublished
        if deaf and begin is not None:
            spans.append((begin, now, messages))
            begin, messages = None, []
        elif not deaf:
            if begin is None:
                begin, messages = now, []
            if not reading.fault and reading.messages:
                messages.append(Message(now, reading.at, reading.messages))
    if begin is not None:
        spans.append((begin, math.inf, messages))
    return spans


def _steps_of_spans(
    source: RobotSource,
    history: History,
    until: float,
    windows: float,
    judge: Callable[[float, list[Message], float, bool], Truth],
) -> list[tuple[float, Truth]]:
    """Judge at every time at which the answer may change: messages, and `windows` after them."""
    steps: list[tuple[float, Truth]] = [(history.begin, None)]
    before = False
    for begin, end, messages in _listening(source, history):
        times = {begin, begin + windows}
        for each in messages:
            times |= {each.told, each.at + windows}
        for now in sorted(times):
            if now > until or now > end:
                continue
            # What came at this very time comes after what became due at it.
            earlier = [each for each in messages if each.told < now]
            at_once = [each for each in messages if each.told == now]
            for number in range(len(at_once) + 1):
                heard = earlier + at_once[:number]
                truth = judge(begin, heard, now, before)
                before = before if truth is None else truth
                steps.append((now, truth))
        if end <= until:
            steps.append((end, None))
    return steps


def _count_steps(
    condition: MessageRate, history: History, until: float
) -> list[tuple[float, Truth]]:
    window = condition.window_sec

    def judge(begin: float, heard: list[Message], now: float, before: bool) -> Truth:
        if begin + window > now:
            return None
        number = sum(each.number for each in heard if each.at + window > now)
        return passes(condition.test, number / window, before)

    return _steps_of_spans(condition.source, history, until, window, judge)


def _silence_steps(
    condition: Silence, history: History, until: float
) -> list[tuple[float, Truth]]:
    def judge(begin: float, heard: list[Message], now: float, before: bool) -> Truth:
        last = heard[-1].at if heard else begin
        if last + condition.silent_sec <= now:
            return True
        return False if heard else None

    return _steps_of_spans(condition.source, history, until, condition.silent_sec, judge)


def firings(condition: Condition, history: History, until: float, last: Truth) -> int:
    """Return how often the condition fired until now: edges, and moments that found the rest
    true."""
    edges = 0
    known = last
    for _, truth in truths(condition, history, until):
        edges += truth is True and known is False
        known = known if truth is None else truth
    moments = sum(
        _comes(condition, history, now, index)
        for now, index in _moments(condition, history, until)
    )
    return edges + moments


def _leaves(condition: Condition) -> list[Condition]:
    if isinstance(condition, Not):
        return _leaves(condition.part)
    if isinstance(condition, (AllOf, AnyOf)):
        return [leaf for part in condition.parts for leaf in _leaves(part)]
    return [condition]


def _moments(
    condition: Condition, history: History, until: float
) -> list[tuple[float, int | None]]:
    """Return all times at which a moment may come: what was told, and intervals."""
    times: list[tuple[float, int | None]] = [
        (each.now, index) for index, each in enumerate(history.told)
    ]
    for leaf in _leaves(condition):
        if isinstance(leaf, Interval):
            number = 1
            while (now := history.begin + number * leaf.interval_sec) <= until:
                times.append((now, None))
                number += 1
    return list(dict.fromkeys(times))


def _comes(condition: Condition, history: History, now: float, index: int | None) -> bool:
    """Tell whether a moment in it comes with one entry, or, for None, with the time."""
    if isinstance(condition, (AllOf, AnyOf)):
        come = [_comes(part, history, now, index) for part in condition.parts]
        if isinstance(condition, AnyOf):
            return any(come)
        so_far = History(history.begin, tuple(each for each in history.told if each.now <= now))
        true = [_at(truths(part, so_far, now), now) is True for part in condition.parts]
        return any(come) and all(a or b for a, b in zip(come, true, strict=True))
    if isinstance(condition, Interval):
        ticks = (now - history.begin) / condition.interval_sec
        return index is None and abs(ticks - round(ticks)) < 1e-6
    if isinstance(condition, Changes):
        return index is not None and _changed(condition.source, history, index)
    return (
        index is not None
        and history.told[index].moment == condition
        and not isinstance(condition, Not)
    )


def _changed(source: RobotSource, history: History, index: int) -> bool:
    read = [
        (entry, reading.value)
        for entry, _, reading in history.readings(source)
        if not reading.fault and entry <= index
    ]
    return len(read) > 1 and read[-1][0] == index and not _alike(read[-1][1], read[-2][1])
