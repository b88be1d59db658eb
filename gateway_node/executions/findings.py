# SPDX-License-Identifier: Apache-2.0
"""What a script found, as its result tells it: verdict, summary, checks and metrics. Pure.

The result itself stays as it is. What of it is not taken is told, and why; nothing here raises.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
import json
import math
import re
from typing import Any

from gateway_node.document_fields import first_control
from gateway_node.scripts.values import Verdict
from gateway_node.strict_json import pointer_token, shown

MAX_TEXT_CHARACTERS = 500
"""Of a summary, of what a check says, and of its value and what was expected, as JSON."""
MAX_CHECKS = 500
MAX_METRICS = 64
"""Lists show them."""
MAX_METRIC_NAME_CHARACTERS = 64

_EXACT = 2**53
"""A double holds every whole number up to this one."""
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_ALLOWED_VERDICTS = f'allowed: {", ".join(_VERDICTS)}'
_ALLOWED_TEXT = 'allowed: a text that is not empty'
_SEVERITY = {Verdict.SKIP: 0, Verdict.PASS: 1, Verdict.WARN: 2, Verdict.FAIL: 3}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One of the things that a script looked at."""

    name: str
    verdict: Verdict
    value: Any = None
    """What was there; a JSON value."""
    unit: str | None = None
    """Of `value` and `expected`."""
    expected: Any = None
    """What should be there; a JSON value."""
    hint: str | None = None
    """What a person may do."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What of a result tells what the script found."""

    verdict: Verdict | None = None
    """As the result says it."""
    summary: str | None = None
    checks: tuple[Check, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    unread_checks: bool = False
    """True where the result has checks that are not among `checks`."""
    complaints: tuple[str, ...] = ()
    """What is not taken, and why; a sentence for each of the four."""

    @property
    def verdict_of_all(self) -> Verdict | None:
        """What the result says, else the worst of its checks.

        Where a check is not known, the others tell nothing but that something is wrong.
        """
        if self.verdict is not None:
            return self.verdict
        found = worst(check.verdict for check in self.checks)
        return None if self.unread_checks and found is not Verdict.FAIL else found


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Return the one that a person has to hear; what was skipped counts where all was."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=None)


def findings_of(result: Mapping[str, Any] | None) -> Findings:
    """Return what a result says; `null` says nothing."""
    said = {} if result is None else {name: result.get(name) for name in _NAMES}
    if not any(value is not None for value in said.values()):
        return _NOTHING
    complaints = _Complaints()
    checks, unread_checks = _checks(said['checks'], complaints)
    return Findings(
        verdict=_verdict(said['verdict'], ('verdict',), complaints),
        summary=_line(said['summary'], ('summary',), complaints),
        checks=checks,
        metrics=_metrics(said['metrics'], complaints),
        unread_checks=unread_checks,
        complaints=complaints.sentences(),
    )


_UNSHOWN = re.compile('[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+')
"""What controls or reorders the text around it, and lone surrogates."""
_NAMES = ('verdict', 'summary', 'checks', 'metrics')
_NOTHING = Findings()
_Place = tuple[str | int, ...]


class _Complaints:
    """What is wrong with a result: of each of the four the first thing, and how many more."""

    def __init__(self) -> None:
        self._reasons: dict[str | int, list[str]] = {}

    def add(self, place: _Place, reason: str) -> None:
        pointer = ''.join(f'/{pointer_token(step)}' for step in place)
        self._reasons.setdefault(place[0], []).append(f"the result's {pointer} {reason}")

    def sentences(self) -> tuple[str, ...]:
        return tuple(
            first + (f' (and {len(rest)} more)' if rest else '')
            for first, *rest in self._reasons.values()
        )


def _verdict(value: object, place: _Place, complaints: _Complaints) -> Verdict | None:
    verdict = _VERDICTS.get(value) if isinstance(value, str) else None
    if verdict is None and value is not None:
        complaints.add(place, f'is {shown(value)}; {_ALLOWED_VERDICTS}')
    return verdict


def _line(value: object, place: _Place, complaints: _Complaints) -> str | None:
    """Return a text as one line of bounded length."""
    if value is None:
        return None
    if not isinstance(value, str):
        complaints.add(place, f'is {shown(value)}; {_ALLOWED_TEXT}')
        return None
    text = value
    if len(value) > MAX_TEXT_CHARACTERS:
        limit = f'kept: the first {MAX_TEXT_CHARACTERS}'
        complaints.add(place, f'has {len(value)} characters; {limit}')
        text = f'{value[: MAX_TEXT_CHARACTERS - 1]}…'
    line = ' '.join(_UNSHOWN.sub(' ', text).split())
    if not line:
        complaints.add(place, f'is {shown(value)}; {_ALLOWED_TEXT}')
    return line or None


def _checks(value: object, complaints: _Complaints) -> tuple[tuple[Check, ...], bool]:
    """Return the checks, and whether there are others."""
    if value is None:
        return (), False
    if not isinstance(value, list):
        complaints.add(('checks',), f'is {shown(value)}; allowed: an array of objects')
        return (), True
    if len(value) > MAX_CHECKS:
        complaints.add(('checks',), f'has {len(value)} entries; kept: the first {MAX_CHECKS}')
    read = [_check(each, index, complaints) for index, each in enumerate(value[:MAX_CHECKS])]
    checks = tuple(check for check in read if check is not None)
    return checks, len(checks) < len(value)


def _check(value: object, index: int, complaints: _Complaints) -> Check | None:
    """Return a check; None where it has no name or no verdict. What else is wrong is left out."""
    place = ('checks', index)
    if not isinstance(value, dict):
        complaints.add(place, f'is {shown(value)}; allowed: an object')
        return None
    for missing in [name for name in ('name', 'verdict') if value.get(name) is None]:
        complaints.add(place, f'has no {missing}')
    name = _line(value.get('name'), (*place, 'name'), complaints)
    verdict = _verdict(value.get('verdict'), (*place, 'verdict'), complaints)
    if name is None or verdict is None:
        return None
    return Check(
        name=name,
        verdict=verdict,
        value=_short_value(value.get('value'), (*place, 'value'), complaints),
        unit=_line(value.get('unit'), (*place, 'unit'), complaints),
        expected=_short_value(value.get('expected'), (*place, 'expected'), complaints),
        hint=_line(value.get('hint'), (*place, 'hint'), complaints),
    )


def _short_value(value: object, place: _Place, complaints: _Complaints) -> object:
    """Return a JSON value that is not long as JSON; a text is cut."""
    if isinstance(value, str):
        return _line(value, place, complaints) if value else value
    if len(json.dumps(value, separators=(',', ':'))) <= MAX_TEXT_CHARACTERS:
        return value
    limit = f'allowed: at most {MAX_TEXT_CHARACTERS} characters of JSON'
    complaints.add(place, f'is too long; {limit}')
    return None


def _metrics(value: object, complaints: _Complaints) -> Mapping[str, float]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        complaints.add(('metrics',), f'is {shown(value)}; allowed: an object of numbers')
        return {}
    if len(value) > MAX_METRICS:
        complaints.add(('metrics',), f'has {len(value)} entries; kept: the first {MAX_METRICS}')
    metrics = {}
    for name, each in islice(value.items(), MAX_METRICS):
        number = _metric(name, each, complaints)
        if number is not None:
            metrics[name] = number
    return metrics


def _metric(name: str, value: object, complaints: _Complaints) -> float | None:
    """Return a metric's number; None where it, or its name, is none.

    A name is taken as it is or not at all, for it is what a series is asked for by.
    """
    fault = None
    if not name.strip():
        fault = 'is empty'
    elif len(name) > MAX_METRIC_NAME_CHARACTERS:
        fault = f'has {len(name)} characters; allowed: at most {MAX_METRIC_NAME_CHARACTERS}'
    elif control := first_control(name):
        fault = f'has the control character {control}'
    if fault:
        complaints.add(('metrics',), f'has a name that {fault}: {shown(name)}')
        return None
    number = as_number(value)
    if number is None:
        complaints.add(('metrics', name), f'is {shown(value)}; allowed: a number')
    return number


def as_number(value: object) -> float | None:
    """Return a number that a double holds, a whole one as it is; None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        double = float(value)
    except OverflowError:
        return None
    if not math.isfinite(double):
        return None
    return double if abs(value) > _EXACT else value
