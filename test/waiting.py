# SPDX-License-Identifier: Apache-2.0
"""Waiting for what must come, by looking again and again, with a deadline."""

import asyncio
from collections.abc import Callable
import time
from typing import TypeVar

import pytest

_Seen = TypeVar('_Seen')

DEADLINE_SEC = 45.0
"""How long anything that must come may take; the graph forgets a killed node after some 20 s."""
_LOOK_SEC = 0.02


def wait_for(look: Callable[[], _Seen], condition: Callable[[_Seen], bool], *, what: str) -> _Seen:
    """Look until what is seen meets the condition; return it, or fail past the deadline."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition(seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f'not within {DEADLINE_SEC:g} s: {what}; last seen: {seen!r}')
        time.sleep(_LOOK_SEC)
    return seen


async def wait_until(condition: Callable[[], object], *, what: str) -> None:
    """Return once the condition holds, while the loop goes on; fail past the deadline."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f'not within {DEADLINE_SEC:g} s: {what}')
        await asyncio.sleep(_LOOK_SEC / 2)
