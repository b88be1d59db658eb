# SPDX-License-Identifier: Apache-2.0
"""Conditions read from JSON: every place that is wrong is told, with what is allowed there.

Whatever comes, it is read or refused; nothing raises.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway_node.conditions.condition_fields import Fields
from gateway_node.conditions.condition_kinds import READERS
from gateway_node.conditions.condition_words import (
    DEFAULT_MAX_RATE_HZ,
    KINDS,
    MAX_AGE_SEC,
    MAX_DEPTH,
    MAX_PARTS,
    MAX_PRECONDITIONS,
    MAX_SEC,
    MAX_SETTLES_SEC,
    MIN_AGE_SEC,
    MOMENTS,
)
from gateway_node.conditions.values import AllOf, AnyOf, Condition, Not, Precondition
from gateway_node.document_fields import description, flag, number, unknown
from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation


def parse_condition(
    document: object,
    path: str,
    violations: list[Violation],
    *,
    moments: bool,
    max_rate_hz: float = DEFAULT_MAX_RATE_HZ,
) -> Condition | None:
    """Read a condition; None where something was added to the violations.

    `path` is the document's place, as a JSON Pointer; `moments`: whether moments are allowed;
    `max_rate_hz`: how often a topic is looked at, at most.
    """
    refused = '' if moments else 'a precondition'
    walk = _Walk(violations=violations, max_rate_hz=max_rate_hz)
    return walk.read(document, path, MAX_DEPTH, refused)


def parse_precondition(
    document: object,
    path: str,
    violations: list[Violation],
    *,
    max_rate_hz: float = DEFAULT_MAX_RATE_HZ,
) -> Precondition | None:
    """Read a precondition; None where something was added to the violations."""
    if not isinstance(document, dict):
        reason = f'is {shown(document)}; allowed: an object'
        violations.append(Violation(path=path, reason=reason))
        return None
    known = len(violations)
    fields: dict[str, Any] = {}
    for name, value in document.items():
        place = f'{path}/{pointer_token(name)}'
        if name == 'condition':
            fields[name] = parse_condition(
                value, place, violations, moments=False, max_rate_hz=max_rate_hz
            )
        elif name in _PRECONDITION_FIELDS:
            fields[name] = _PRECONDITION_FIELDS[name](value, place, violations)
        else:
            violations.append(unknown(place, ('condition', *_PRECONDITION_FIELDS)))
    if 'condition' not in document:
        violations.append(Violation(path=path, reason='has no condition; allowed: an object'))
    if len(violations) == known and fields['condition'].settles_sec > MAX_SETTLES_SEC:
        needed = f'{fields["condition"].settles_sec:g} s'
        reason = (
            f'takes {needed} to be known, as long as a start would wait; '
            f'allowed: at most {MAX_SETTLES_SEC:g} s'
        )
        violations.append(Violation(path=f'{path}/condition', reason=reason))
    return Precondition(document=document, **fields) if len(violations) == known else None


def parse_preconditions(
    document: object,
    path: str,
    violations: list[Violation],
    *,
    max_rate_hz: float = DEFAULT_MAX_RATE_HZ,
) -> tuple[Precondition, ...] | None:
    """Read an array of preconditions; None where something was added to the violations."""
    if not isinstance(document, list):
        reason = f'is {shown(document)}; allowed: an array of objects'
    elif len(document) > MAX_PRECONDITIONS:
        reason = f'has {len(document)} items; allowed: at most {MAX_PRECONDITIONS}'
    else:
        known = len(violations)
        read = [
            parse_precondition(each, f'{path}/{index}', violations, max_rate_hz=max_rate_hz)
            for index, each in enumerate(document)
        ]
        found = tuple(each for each in read if each is not None)
        return found if len(violations) == known else None
    violations.append(Violation(path=path, reason=reason))
    return None


def _age(value: object, path: str, violations: list[Violation]) -> float | None:
    return number(value, path, violations, bounds=(MIN_AGE_SEC, MAX_AGE_SEC))


_PRECONDITION_FIELDS: Mapping[str, Callable[[object, str, list[Violation]], Any]] = {
    'hold': flag,
    'description': description,
    'max_age_sec': _age,
}


@dataclass(kw_only=True)
class _Walk:
    """Through one condition and all that is in it."""

    violations: list[Violation]
    max_rate_hz: float
    parts: int = 0

    def read(self, document: object, path: str, depth: int, refused: str) -> Condition | None:
        """Read a condition `depth` levels of which are left; `refused` says where no moment may
        be, or is empty."""
        self.parts += 1
        if reason := self._bound(document, depth):
            self.violations.append(Violation(path=path, reason=reason))
        if self.parts > MAX_PARTS or not depth or not isinstance(document, dict):
            return None
        found: Condition | None
        fields = Fields(document, path, self.violations)
        kind = fields.one_of(KINDS, 'kind')
        if kind is None:
            return None
        if kind in ('all', 'any', 'not'):
            found = self._several(kind, fields, depth, refused)
        else:
            if refused and (moment := _moment(kind, fields)):
                self._refuse_moment(fields, moment, refused)
            found = READERS[kind](fields, self.max_rate_hz)
        return found if fields.is_right else None

    def _bound(self, document: object, depth: int) -> str:
        if self.parts == MAX_PARTS + 1:
            return f'is one part too many; allowed: at most {MAX_PARTS} in all'
        if self.parts > MAX_PARTS:
            return ''
        if not depth:
            return f'is nested too deep; allowed: at most {MAX_DEPTH} levels'
        return '' if isinstance(document, dict) else f'is {shown(document)}; allowed: an object'

    def _refuse_moment(self, fields: Fields, name: str, refused: str) -> None:
        reason = f'is a moment, over as soon as it comes, and cannot stand in {refused}'
        fields.refuse(name, f'{reason}; allowed: what is true for some time')

    def _several(
        self, kind: str, fields: Fields, depth: int, refused: str
    ) -> AllOf | AnyOf | Not | None:
        fields.only((kind, 'for'), kind)
        for_sec = fields.number('for', 0, (0, MAX_SEC))
        if not refused and (kind == 'not' or for_sec):
            refused = 'not' if kind == 'not' else 'what has to hold for some time'
        inside = fields.document[kind]
        if kind == 'not':
            part = self.read(inside, fields.place('not'), depth - 1, refused)
            if part is None:
                return None
            return Not(part=part, for_sec=for_sec, document=fields.document)
        if not isinstance(inside, list) or not inside:
            fields.refuse(kind, f'is {_array(inside)}; allowed: an array of conditions')
            return None
        read = [
            self.read(each, f'{fields.place(kind)}/{index}', depth - 1, refused)
            for index, each in enumerate(inside)
        ]
        parts = tuple(part for part in read if part is not None)
        if len(parts) < len(read):
            return None
        if kind == 'any':
            return AnyOf(parts=parts, for_sec=for_sec, document=fields.document)
        at_once = [part.text for part in parts if part.is_moment]
        if len(at_once) > 1:
            reason = f'has moments that never come at once: {", ".join(at_once[:3])}'
            fields.refuse(kind, f'{reason}; allowed: one, and what has to be true then')
        return AllOf(parts=parts, for_sec=for_sec, document=fields.document)


def _moment(kind: str, fields: Fields) -> str | None:
    """Return the field that makes a moment of a condition."""
    if kind in MOMENTS:
        return kind
    return 'changes' if 'changes' in fields else None


def _array(value: object) -> str:
    return 'an empty array' if value == [] else shown(value)
