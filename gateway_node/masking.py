# SPDX-License-Identifier: Apache-2.0
"""What stands for a secret wherever a document is shown or kept.

Imports the standard library only: both sides of the fork use it.
"""

from collections.abc import Iterable, Mapping
import re
from typing import Any

MASK = '********'
"""In place of the whole value, whatever its type."""

_SECRET_NAME = re.compile(
    # Not TOKENIZER, COMPASS, BYPASS, PASSIVE and PASSENGER, which robots have too.
    r'TOKEN(?!IZ)|SECRET|CREDENTIAL|(?<!COM)(?<!BY)PASS(?!IVE|ENGER)|PWD$'
    r'|(?:API|ACCESS|PRIVATE)_?KEY|_KEY$|_PAT$|_AUTH$|_DSN$|^DATABASE_URL$',
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    # Not udp://:14540@robot, as MAVLink's programs write it: a port, and no password.
    r'(?<=[a-z0-9+.-])(?<!udp)(?<!udp-b)://[^/\s@:]*:[^/\s@]+@',
    re.IGNORECASE,
)
"""A URL with a password, anywhere."""


def masked(document: Mapping[str, Any], pointers: Iterable[str]) -> dict[str, Any]:
    """Return an object with MASK at these places (JSON Pointers, RFC 6901); all of its members
    where one of them is the whole. A place that is not there is none."""
    shown: Any = document
    for pointer in pointers:
        shown = _with_mask(shown, _steps(pointer)) if pointer else dict.fromkeys(document, MASK)
    return dict(shown)


def names_in(pointers: Iterable[str], document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the members of an object in which these places are."""
    names: set[str] = set()
    for pointer in pointers:
        names |= {_steps(pointer)[0]} if pointer else document.keys()
    return frozenset(names)


def looks_secret(name: str, value: str) -> bool:
    """Tell whether a value looks like a secret, as nobody says whether it is one: by its name, or
    as it has a URL with a password in it."""
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))


def _steps(pointer: str) -> list[str]:
    return [step.replace('~1', '/').replace('~0', '~') for step in pointer.split('/')[1:]]


def _with_mask(value: Any, steps: list[str]) -> Any:
    if not steps:
        return MASK
    step, *others = steps
    if isinstance(value, Mapping) and step in value:
        return {**value, step: _with_mask(value[step], others)}
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        index = int(step)
        return [*value[:index], _with_mask(value[index], others), *value[index + 1 :]]
    return value
