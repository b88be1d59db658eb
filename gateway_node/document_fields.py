# SPDX-License-Identifier: Apache-2.0
"""The fields that documents from outside have in common: each reader takes a JSON value."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
import unicodedata

from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation

MAX_DESCRIPTION_LENGTH = 4096
MIN_TIMEOUT_SEC = 0.01
MAX_TIMEOUT_SEC = 30 * 86400.0

LINE_BREAKS = '\n\t\r'
"""What a text of several lines may have of control characters."""

CONTROL = frozenset({'Cc', 'Cs', 'Zl', 'Zp'})
"""Unicode categories of control characters."""
_DIRECTIONS = frozenset({'LRE', 'RLE', 'LRO', 'RLO', 'PDF', 'LRI', 'RLI', 'FSI', 'PDI'})
"""Bidirectional classes of the characters that reorder the text around them."""

Reader = Callable[[object, str, list[Violation]], Any]
"""Reads a field's value; adds what is wrong to the list and then returns None."""


def unknown(path: str, allowed: Iterable[str]) -> Violation:
    """Return what is wrong with a name that nothing has."""
    return Violation(path=path, reason=f'is unknown; allowed: {", ".join(allowed)}')


def read_fields(
    document: Mapping[str, object],
    path: str,
    violations: list[Violation],
    readers: Mapping[str, Reader],
) -> dict[str, Any]:
    """Read an object at a path, each field by its reader; what is null counts as not given."""
    read = {}
    for name, value in document.items():
        place = f'{path}/{pointer_token(name)}'
        if name not in readers:
            violations.append(unknown(place, readers))
        elif value is not None:
            result = readers[name](value, place, violations)
            if result is not None:
                read[name] = result
    return read


def text(
    value: object, path: str, violations: list[Violation], *, limit: int, controls: str = ''
) -> str | None:
    """Read a text that is not blank; `controls` are the control characters that it may have."""
    if not isinstance(value, str) or not value.strip():
        reason = f'is {shown(value)}; allowed: a text that is not empty'
    elif len(value) > limit:
        reason = f'has {len(value)} characters; allowed: at most {limit}'
    elif control := first_control(value, allowed=controls):
        reason = f'has the control character {control}'
    else:
        return value
    violations.append(Violation(path=path, reason=reason))
    return None


def description(value: object, path: str, violations: list[Violation]) -> str | None:
    """Read a text of several lines, which may be empty."""
    if not isinstance(value, str):
        reason = f'is {shown(value)}; allowed: a text'
    elif len(value) > MAX_DESCRIPTION_LENGTH:
        reason = f'has {len(value)} characters; allowed: at most {MAX_DESCRIPTION_LENGTH}'
    elif control := first_control(value, allowed=LINE_BREAKS):
        reason = f'has the control character {control}'
    else:
        return value
    violations.append(Violation(path=path, reason=reason))
    return None


def flag(value: object, path: str, violations: list[Violation]) -> bool | None:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    violations.append(Violation(path=path, reason=f'is {shown(value)}; allowed: true, false'))
    return None


def number(
    value: object,
    path: str,
    violations: list[Violation],
    *,
    bounds: tuple[float, float],
    whole: bool = False,
) -> float | None:
    """Read a number within bounds, or a `whole` one."""
    low, high = bounds
    if whole and isinstance(value, float) and value.is_integer():
        value = int(value)  # in JSON, 5 and 5.0 are one number
    good_type = isinstance(value, int) or (isinstance(value, float) and not whole)
    if not good_type or isinstance(value, bool) or not isinstance(value, (int, float)):
        wanted = 'a whole number' if whole else 'a number'
    elif not low <= value <= high:  # NaN is in no range
        wanted = ''
    else:
        return value
    reason = f'is {shown(value)}; allowed: {wanted or "a number"} from {low:.10g} to {high:.10g}'
    violations.append(Violation(path=path, reason=reason))
    return None


def timeout(value: object, path: str, violations: list[Violation]) -> float | None:
    """Read how long an execution may take."""
    return number(value, path, violations, bounds=(MIN_TIMEOUT_SEC, MAX_TIMEOUT_SEC))


def first_control(text: str, allowed: str = '') -> str | None:
    """Return the first control or reordering character of a text, as `U+202E`, or None."""
    for character in text:
        if character not in allowed and (
            unicodedata.category(character) in CONTROL
            or unicodedata.bidirectional(character) in _DIRECTIONS
        ):
            return f'U+{ord(character):04X}'
    return None
