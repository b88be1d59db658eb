# SPDX-License-Identifier: Apache-2.0
"""What stands for a secret wherever a document is shown or kept.

Imports the standard library only: both sides of the fork use it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MASK = '********'
"""In place of the whole value, whatever its type."""


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
