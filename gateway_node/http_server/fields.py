# SPDX-License-Identifier: Apache-2.0
"""The kinds of values that a request may hold: each reads one, and tells its JSON Schema.

Pure: a value comes in as text (of a path, a query, a header) or as JSON (of a body), and goes out
as the handlers want it. Where each stands, and under which name, is `takes.py`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
import enum
import re
from typing import Any, Generic, TypeVar

from gateway_node.entities.names import ID_PATTERN, is_id
from gateway_node.executions.ids import EXECUTION_ID_PATTERN, is_execution_id
from gateway_node.scripts.records import VERSION
from gateway_node.violations import Violation

T_co = TypeVar('T_co', covariant=True)
Choice_co = TypeVar('Choice_co', bound=enum.Enum, covariant=True)

_SHOWN = 80
"""Characters of a value that a message repeats."""
_DIGITS = 18
"""That a number in a text may have; more than any bound has."""


class ValueRefused(Exception):
    """A value is not allowed."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__(violations[0].reason)
        self.violations = violations
        """With paths inside of the value."""


def shown(value: object) -> str:
    """Return what a message repeats of a value."""
    return repr(value[:_SHOWN]) if isinstance(value, str) else f'{value!r:.{_SHOWN}}'


def refused(reason: str) -> ValueRefused:
    """Return the error for a value that is wrong as a whole; `reason` follows its name."""
    return ValueRefused(Violation(path='', reason=reason))


class Field(ABC, Generic[T_co]):
    """One kind of value."""

    @abstractmethod
    def read(self, value: object) -> T_co:
        """Return what a JSON value stands for; ValueRefused, with every violation."""

    def read_text(self, text: str) -> T_co:
        """Return what a text of a path, a query or a header stands for; ValueRefused."""
        return self.read(text)

    def read_texts(self, texts: list[str]) -> T_co:
        """Return what the texts stand for that a query or the headers give one name."""
        if len(texts) > 1:
            raise refused(f'is given {len(texts)} times; allowed: once')
        return self.read_text(texts[0])

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of what `read` takes."""


class Text(Field[str]):
    """Any text."""

    def read(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise refused('is no text')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell that it is a text."""
        return {'type': 'string'}


class FilePath(Text):
    """Names with slashes between: all that is left of a path."""


class Id(Field[str]):
    """An id of an entity or a script."""

    def read(self, value: object) -> str:
        """Return the id."""
        if not isinstance(value, str) or not is_id(value):
            raise refused(
                f'{shown(value)} is no id; allowed: letters, digits, "_", "-" and ".", '
                'at most 256, the first no "-" or "."'
            )
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the form of an id."""
        return {'type': 'string', 'pattern': f'^{ID_PATTERN}$'}


class ExecutionId(Field[str]):
    """An id that an execution has, had or could have."""

    def read(self, value: object) -> str:
        """Return the id."""
        if not isinstance(value, str) or not is_execution_id(value):
            raise refused(
                f'is {shown(value)}; allowed: the id of an execution, "exec_" and 26 digits '
                'and capital letters'
            )
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the form of an execution's id."""
        return {'type': 'string', 'pattern': f'^{EXECUTION_ID_PATTERN}$'}


class Version(Field[str]):
    """A version of a script."""

    def read(self, value: object) -> str:
        """Return the version."""
        if not isinstance(value, str) or not VERSION.fullmatch(value):
            raise refused(f'is {shown(value)}; allowed: a SHA-256, 64 digits and letters a to f')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the form of a SHA-256."""
        return {'type': 'string', 'pattern': f'^{VERSION.pattern}$'}


class Integer(Field[int]):
    """A whole number from `minimum` to `maximum`; `nonzero`, any of them but 0."""

    def __init__(self, minimum: int, maximum: int, *, nonzero: bool = False) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._nonzero = nonzero
        sign = '-?' if minimum < 0 else ''
        self._text = re.compile(f'{sign}[0-9]{{1,{_DIGITS}}}')

    def read(self, value: object) -> int:
        """Return the number; in JSON, 5 and 5.0 are one."""
        if isinstance(value, float) and value.is_integer():
            return self._within(int(value), value)
        whole = value if isinstance(value, int) and not isinstance(value, bool) else None
        return self._within(whole, value)

    def read_text(self, text: str) -> int:
        """Return the number; int() would take spaces, underscores and digits of every script."""
        plain = self._text.fullmatch(text)
        return self._within(int(text) if plain else None, text)

    def _within(self, number: int | None, given: object) -> int:
        outside = number is None or not self._minimum <= number <= self._maximum
        if number is None or outside or (self._nonzero and number == 0):
            but = ', but not 0' if self._nonzero else ''
            whole = 'a whole number from ' if number is None else ''
            allowed = f'{whole}{self._minimum} to {self._maximum}{but}'
            raise refused(f'is {shown(given)}; allowed: {allowed}')
        return number

    def schema(self) -> dict[str, Any]:
        """Tell the range."""
        schema = {'type': 'integer', 'minimum': self._minimum, 'maximum': self._maximum}
        return schema | ({'not': {'const': 0}} if self._nonzero else {})


class Number(Field[float]):
    """A number from `minimum` to `maximum`."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def read(self, value: object) -> float:
        """Return the number."""
        number = None if isinstance(value, bool) or not isinstance(value, (int, float)) else value
        if number is not None and self._minimum <= number <= self._maximum:
            return number
        raise refused(f'is {shown(value)}; allowed: {self._minimum:.10g} to {self._maximum:.10g}')

    def schema(self) -> dict[str, Any]:
        """Tell the range."""
        return {'type': 'number', 'minimum': self._minimum, 'maximum': self._maximum}


class Flag(Field[bool]):
    """True or false."""

    def read(self, value: object) -> bool:
        """Return it."""
        if not isinstance(value, bool):
            raise refused(f'is {shown(value)}; allowed: true, false')
        return value

    def read_text(self, text: str) -> bool:
        """Return what the word stands for."""
        return self.read({'true': True, 'false': False}.get(text, text))

    def schema(self) -> dict[str, Any]:
        """Tell that it is one or the other."""
        return {'type': 'boolean'}


class Choice(Field[Choice_co]):
    """One member of an enum, by its value."""

    def __init__(self, kind: type[Choice_co]) -> None:
        self._members: Mapping[object, Choice_co] = {each.value: each for each in kind}

    def read(self, value: object) -> Choice_co:
        """Return the member."""
        member = self._members.get(value) if isinstance(value, str) else None
        if member is None:
            raise refused(f'is {shown(value)}; allowed: {", ".join(self.values)}')
        return member

    @property
    def values(self) -> list[str]:
        """What is allowed."""
        return [str(value) for value in self._members]

    def schema(self) -> dict[str, Any]:
        """Tell what is allowed."""
        return {'enum': self.values}


class Segment(Choice[Choice_co]):
    """A choice that decides what a path is: with any other text it is another path."""


class Arguments(Field[tuple[str, ...]]):
    """The arguments of a program: texts without NUL, each of bounded length (execve(2))."""

    def __init__(self, *, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes

    def read(self, value: object) -> tuple[str, ...]:
        """Return the texts; every one that is wrong is a violation of its own."""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise refused('is no list of texts')
        if len(value) > self._max_items:
            raise refused(f'has {len(value)} texts; allowed: {self._max_items}')
        wrong = [
            Violation(
                path=f'/{index}',
                reason=f'has a NUL, or more than {self._max_bytes} bytes; it begins with '
                f'{text[:40]!r}',
            )
            for index, text in enumerate(value)
            if '\0' in text or len(text.encode()) > self._max_bytes
        ]
        if wrong:
            raise ValueRefused(*wrong)
        return tuple(value)

    def schema(self) -> dict[str, Any]:
        """Tell the bounds; JSON Schema counts characters, of which none has less than a byte."""
        text = {'type': 'string', 'maxLength': self._max_bytes, 'pattern': '^[^\\u0000]*$'}
        return {'type': 'array', 'items': text, 'maxItems': self._max_items}


class JsonObject(Field[Mapping[str, Any]]):
    """An object with any names, at most so many."""

    def __init__(self, *, max_names: int) -> None:
        self._max_names = max_names

    def read(self, value: object) -> Mapping[str, Any]:
        """Return the object."""
        if not isinstance(value, dict):
            raise refused('is no JSON object')
        if len(value) > self._max_names:
            raise refused(f'has {len(value)} names; allowed: {self._max_names}')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the bound."""
        return {'type': 'object', 'maxProperties': self._max_names}
