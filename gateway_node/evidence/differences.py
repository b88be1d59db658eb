# SPDX-License-Identifier: Apache-2.0
"""In what two JSON values differ, and where. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from typing import Any

from gateway_node.strict_json import pointer_token, same

MAX_DIFFERENCES = 500
"""That are told of one aspect."""
MAX_VALUE_CHARACTERS = 1024
"""Of JSON, up to which a value is told as it is."""

_NOTHING = object()


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the two values that are compared are called where they are told."""

    one: str
    other: str


def difference_of(one: Any, other: Any, sides: Sides) -> dict[str, Any]:
    """Return `{same, differences, more}`: each difference has the `path` of its place, a JSON
    Pointer, and the values there; a side that has nothing there is left out.

    Objects are compared member by member, everything else as a whole. What is beyond
    MAX_DIFFERENCES is counted as `more`, which is left out where nothing is; long values are told
    by their beginnings.
    """
    differences: list[dict[str, Any]] = []
    more = 0
    for path, first, second in _walk(one, other, ''):
        if len(differences) == MAX_DIFFERENCES:
            more += 1
            continue
        told = ((sides.one, first), (sides.other, second))
        values = {name: _shortened(value) for name, value in told if value is not _NOTHING}
        differences.append({'path': path} | values)
    found: dict[str, Any] = {'same': not differences, 'differences': differences}
    return found | {'more': more} if more else found


def _walk(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in (*one, *(name for name in other if name not in one)):
            below = f'{path}/{pointer_token(name)}'
            yield from _walk(one.get(name, _NOTHING), other.get(name, _NOTHING), below)
    elif not same(one, other):
        yield path, one, other


def _shortened(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MAX_VALUE_CHARACTERS else f'{text[:MAX_VALUE_CHARACTERS]}…'
