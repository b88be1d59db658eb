# SPDX-License-Identifier: Apache-2.0
"""The fields of one condition in JSON, each read by its kind; and the tests that there are."""

from collections.abc import Callable, Iterable, Mapping
import json
import re
from typing import Any

from gateway_node.conditions.condition_words import (
    FURTHER_FIELDS,
    MAX_EQUALS_LENGTH,
    MAX_NAME_LENGTH,
    MAX_NUMBER,
)
from gateway_node.conditions.value_tests import (
    Above,
    Below,
    Equals,
    Number,
    Outside,
    ValueTest,
    Within,
)
from gateway_node.document_fields import flag, number, text
from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation


class Fields:
    """One object that tells a condition; what is wrong with it is added to the violations."""

    def __init__(
        self, document: Mapping[str, Any], path: str, violations: list[Violation]
    ) -> None:
        self.document = document
        self.path = path
        self.violations = violations
        self._known = len(violations)

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a field."""
        return name in self.document

    @property
    def is_right(self) -> bool:
        """Whether nothing was found to be wrong yet."""
        return len(self.violations) == self._known

    def place(self, name: str) -> str:
        """Return the pointer to a field."""
        return f'{self.path}/{pointer_token(name)}'

    def refuse(self, name: str | None, reason: str) -> None:
        """Note what is wrong with a field, or, where it is None, with the object."""
        path = self.path if name is None else self.place(name)
        self.violations.append(Violation(path=path, reason=reason))

    def only(self, allowed: Iterable[str], beside: str) -> None:
        """Refuse every other field; `beside` is the field that has no others."""
        names = [*allowed]
        for name in self.document:
            if name not in names:
                known = name in FURTHER_FIELDS
                reason = f'does not go with {beside}' if known else 'is unknown'
                self.refuse(name, f'{reason}; allowed: {", ".join(names)}')

    def one_of(self, names: Iterable[str], what: str) -> str | None:
        """Return which one of some fields there is; it has to be one."""
        allowed = [*names]
        there = [name for name in allowed if name in self.document]
        if len(there) == 1:
            return there[0]
        has = f'has {" and ".join(there)}' if there else f'has no {what}'
        self.refuse(None, f'{has}; allowed: one of {", ".join(allowed)}')
        return None

    def read(self, name: str, reader: Callable[..., Any], default: Any, **how: Any) -> Any:
        """Return what a reader makes of a field; None where it is wrong."""
        if name not in self.document:
            return default
        return reader(self.document[name], self.place(name), self.violations, **how)

    def flag(self, name: str, default: bool) -> bool:
        """Read a boolean."""
        return bool(self.read(name, flag, default))

    def number(self, name: str, default: Number, bounds: tuple[float, float]) -> Number:
        """Read a number; the default where it is wrong."""
        found: Number | None = self.read(name, number, default, bounds=bounds)
        return default if found is None else found

    def text(self, name: str, limit: int = MAX_NAME_LENGTH) -> str:
        """Read a text that has to be there; an empty one where it is wrong."""
        if name not in self.document:
            self.refuse(None, f'has no {name}; allowed: a text')
            return ''
        return self.read(name, text, '', limit=limit) or ''

    def like(
        self, name: str, pattern: re.Pattern[str], allowed: str, limit: int = MAX_NAME_LENGTH
    ) -> str:
        """Read a text of a form; an empty one where it is wrong."""
        value = self.document[name]
        if isinstance(value, str) and len(value) <= limit and pattern.fullmatch(value):
            return value
        self.refuse(name, f'is {shown(value)}; allowed: {allowed}')
        return ''

    def words(self, name: str, allowed: Iterable[str]) -> tuple[str, ...]:
        """Read one word, or an array of some; none where they are wrong."""
        known = [*allowed]
        value = self.document[name]
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list):
            self.refuse(name, f'is {shown(value)}; allowed: some of {", ".join(known)}')
            return ()
        if not 0 < len(words) <= len(known):
            allowed_many = f'1 to {len(known)}, of {", ".join(known)}'
            self.refuse(name, f'has {len(words)} items; allowed: {allowed_many}')
            return ()
        for index, word in enumerate(words):
            if word not in known:
                place = name if words is not value else f'{name}/{index}'
                reason = f'is {shown(word)}; allowed: {", ".join(known)}'
                self.violations.append(Violation(path=f'{self.path}/{place}', reason=reason))
        return tuple(dict.fromkeys(word for word in words if word in known))

    def word(self, name: str, allowed: Iterable[str]) -> str:
        """Read one word; an empty one where it is wrong."""
        known = [*allowed]
        value = self.document[name]
        if isinstance(value, str) and value in known:
            return value
        self.refuse(name, f'is {shown(value)}; allowed: {", ".join(known)}')
        return ''

    def hysteresis(self) -> Number:
        """Read how far back a value has to go before it is told otherwise."""
        return self.number('hysteresis', 0, (0, MAX_NUMBER))

    def test(self, name: str) -> ValueTest | None:
        """Read a test of values, other than `changes`."""
        if name == 'equals':
            return self._equals()
        if name in ('within', 'outside'):
            return self._range(name)
        limit = self.number(name, 0, (-MAX_NUMBER, MAX_NUMBER))
        kind = Above if name.endswith('above') else Below
        return kind(limit=limit, hysteresis=self.hysteresis())

    def _equals(self) -> Equals:
        value = self.document['equals']
        length = len(json.dumps(value))
        if length > MAX_EQUALS_LENGTH:
            self.refuse('equals', f'has {length} characters; allowed: at most {MAX_EQUALS_LENGTH}')
        return Equals(value=value)

    def _range(self, name: str) -> Within | Outside | None:
        value = self.document[name]
        allowed = 'an array of two numbers, the lower one first'
        if not isinstance(value, list) or len(value) != 2:
            is_what = (
                f'has {len(value)} items' if isinstance(value, list) else f'is {shown(value)}'
            )
            self.refuse(name, f'{is_what}; allowed: {allowed}')
            return None
        low, high = (
            number(each, f'{self.place(name)}/{index}', self.violations, bounds=_NUMBERS)
            for index, each in enumerate(value)
        )
        hysteresis = self.hysteresis()
        if low is None or high is None:
            return None
        if low > high:
            self.refuse(name, f'is from {shown(low)} to {shown(high)}; allowed: {allowed}')
            return None
        if name == 'within':
            return Within(low=low, high=high, hysteresis=hysteresis)
        if hysteresis and hysteresis >= (high - low) / 2:
            allowed = f'less than half of the range, {shown((high - low) / 2)}'
            self.refuse('hysteresis', f'is {shown(hysteresis)}; allowed: {allowed}')
        return Outside(low=low, high=high, hysteresis=hysteresis)


_NUMBERS = (-MAX_NUMBER, MAX_NUMBER)
