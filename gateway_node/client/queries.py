# SPDX-License-Identifier: Apache-2.0
"""How what a list is asked for stands in a URL (docs/api.md, "Finding executions")."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, UTC
import json
from typing import Any
from urllib.parse import quote, urlencode

Wanted = str | int | float | bool | datetime | Sequence[str] | Sequence[int] | None
"""A value of a name, or several as alternatives; None asks for nothing."""

_WITH_COMMAS = frozenset({'result_contains'})
"""Names in whose values a comma parts nothing."""


def target(*path: str, **query: Wanted) -> str:
    """Build a path, with a query where there is one."""
    where = '/' + '/'.join(quote(each, safe='') for each in path)
    pairs = [pair for name, value in query.items() for pair in _pairs(name, value)]
    return f'{where}?{urlencode(pairs)}' if pairs else where


def by_parameters(parameters: Mapping[str, Any]) -> dict[str, Wanted]:
    """Return what asks for executions with these input parameters."""
    return {
        f'parameter.{name}': value if isinstance(value, str) else json.dumps(value)
        for name, value in parameters.items()
    }


def _pairs(name: str, value: Wanted) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    for each in several:
        yield name, _text(name, each)


def _text(name: str, value: str | float | datetime) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if not isinstance(value, str) or name in _WITH_COMMAS or name.startswith('parameter.'):
        return str(value)
    return value.replace('\\', r'\\').replace(',', r'\,')
