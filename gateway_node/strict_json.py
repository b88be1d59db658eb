# SPDX-License-Identifier: Apache-2.0
"""JSON from outside, as every room takes it: RFC 8259, within bounds, so that it can be served.

Imports the standard library only, for supervisors and scripts import it too.
"""

from collections import Counter
from collections.abc import Iterable
import json
import math
from typing import Any, NamedTuple

MAX_DEPTH = 64
"""Arrays and objects inside each other, the outermost one counted."""
MAX_DIGITS = 4300
"""Digits of a whole number: what Python makes into a text again (`sys.int_info`)."""

_TOO_LARGE = 10**MAX_DIGITS
_TOKEN_CHARACTERS = 64
_POINTER_CHARACTERS = 160


class JsonRefused(ValueError):
    """A document that is not taken. The text says what is the matter: `is no JSON: …`."""

    def __init__(self, reason: str, *path: str | int) -> None:
        """`path`: the names and indices that lead to the place, as far as it is known."""
        super().__init__(reason)
        self.reason = reason
        self.path = list(path)

    @property
    def pointer(self) -> str:
        """The place as a JSON Pointer, clipped."""
        pointer = ''.join(f'/{pointer_token(step)}' for step in self.path)
        if len(pointer) > _POINTER_CHARACTERS:
            return f'{pointer[:_POINTER_CHARACTERS]}...'
        return pointer

    def __str__(self) -> str:
        """Return the reason and the place."""
        return f'{self.reason}, at {self.pointer}' if self.path else self.reason


class NotJson(JsonRefused):
    """A document that is not even JSON; all others break a bound."""


class _Repeating(NamedTuple):
    """Stands in a parsed document for an object that has a name twice."""

    name: str


def parse(content: bytes) -> Any:
    """Return the value of a document in UTF-8; a byte order mark before it is skipped.

    The time is linear in the length, whatever the content.

    Raises:
        NotJson: it is no UTF-8 or no JSON.
        JsonRefused: an object has a name twice; and see `check`.
    """
    try:
        value = _DECODER.decode(content.decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        raise NotJson(f'is not UTF-8: {error.reason} at byte {error.start}') from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise NotJson(f'is no JSON: {error}') from error
    check(value)
    return value


def check(value: Any) -> None:
    """Return where a value of JSON's types, which came as YAML, say, is one that can be served.

    Raises:
        JsonRefused: NaN, Infinity, a number that is too large, a lone surrogate, or more than
            MAX_DEPTH levels.
    """
    _check(value, MAX_DEPTH)


def pointer_token(key: object) -> str:
    """Return a key as a token of a JSON Pointer (RFC 6901), clipped to 64 characters."""
    text = str(key).encode('ascii', 'backslashreplace').decode()
    return text[:_TOKEN_CHARACTERS].replace('~', '~0').replace('/', '~1')


def _check(value: Any, levels: int) -> None:
    if isinstance(value, (dict, list)):
        _check_items(value, levels)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise JsonRefused('has NaN, Infinity or a number that is too large')
    elif isinstance(value, int) and not -_TOO_LARGE < value < _TOO_LARGE:
        raise JsonRefused(f'has a whole number of more than {MAX_DIGITS} digits')
    elif isinstance(value, _Repeating):
        raise JsonRefused('has a name twice', value.name)


def _check_items(value: dict[str, Any] | list[Any], levels: int) -> None:
    if not levels:
        raise _too_deep()
    items: Iterable[tuple[str | int, Any]]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        try:
            if isinstance(key, str):
                _check_text(key)
            _check(item, levels - 1)
        except JsonRefused as refused:
            refused.path.insert(0, key)
            raise


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise JsonRefused('has a text with a lone surrogate') from error


def _too_deep() -> JsonRefused:
    return JsonRefused(f'is nested deeper than {MAX_DEPTH} levels')


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeating:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    counts = Counter(name for name, _ in pairs)
    return _Repeating(counts.most_common(1)[0][0])


def _integer(digits: str) -> int:
    # Before `int`, whose time grows with the square where the interpreter's limit is turned off.
    too_long = len(digits) - digits.startswith('-') > MAX_DIGITS
    return _TOO_LARGE if too_long else int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def shown(value: object) -> str:
    """Return a short form of a value for a message."""
    if isinstance(value, (dict, list)):
        return 'an object' if isinstance(value, dict) else 'an array'
    if isinstance(value, int) and value.bit_length() > 256:
        return 'a number with more than 77 digits'
    text = ascii(value) if isinstance(value, str) else repr(value)
    text = {'None': 'null', 'True': 'true', 'False': 'false'}.get(text, text)
    return text if len(text) <= 80 else text[:77] + '...'


def clip(text: str, length: int = 200) -> str:
    """Return a text with its middle left out where it is longer than `length`."""
    if len(text) <= length:
        return text
    return f'{text[: length * 2 // 3]}...{text[-(length // 3) :]}'


def same(one: object, other: object) -> bool:
    """Tell whether two values are the same JSON: `true` is not 1, 1 is 1.0; NaN equals NaN."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other or (one != one and other != other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other
