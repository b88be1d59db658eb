# SPDX-License-Identifier: Apache-2.0
"""When something is due: one timer of the loop for all of it."""

import asyncio
import functools

from loop_clock import LoopClock
import pytest

from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns


@pytest.fixture
async def loop_clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """The clock of the loop, in the test's hand."""
    return LoopClock(monkeypatch)


@pytest.fixture
async def timers(loop_clock: LoopClock) -> Timers:
    """Timers that go by it."""
    return Timers(asyncio.get_running_loop().time, Turns())


async def test_each_is_called_when_it_is_due(loop_clock: LoopClock, timers: Timers) -> None:
    """In order, and not before."""
    now = asyncio.get_running_loop().time()
    called: list[str] = []
    for name, sec in (('late', 300.0), ('early', 100.0), ('never', 10_000.0)):
        timers.set(name, now + sec, functools.partial(called.append, name))
    await loop_clock.advance(50)
    assert called == []
    await loop_clock.advance(60)
    assert called == ['early']
    await loop_clock.advance(300)
    assert called == ['early', 'late']


async def test_a_moment_replaces_the_one_before(loop_clock: LoopClock, timers: Timers) -> None:
    """Sooner, later, or none at all."""
    now = asyncio.get_running_loop().time()
    called: list[str] = []

    def set_to(name: str, sec: float | None) -> None:
        timers.set(name, None if sec is None else now + sec, lambda: called.append(name))

    for name in ('sooner', 'later', 'not'):
        set_to(name, 200)
    set_to('sooner', 100)
    set_to('later', 400)
    set_to('not', None)
    await loop_clock.advance(150)
    assert called == ['sooner']
    await loop_clock.advance(150)
    assert called == ['sooner']
    await loop_clock.advance(150)
    assert called == ['sooner', 'later']


async def test_moments_that_were_replaced_cost_no_memory(timers: Timers) -> None:
    """However often that happens."""
    now = asyncio.get_running_loop().time()
    for step in range(10_000):
        timers.set('one', now + 1000 + step, lambda: None)
    assert len(timers._heap) < 200
    timers.close()


async def test_nobody_is_called_once_it_is_closed(loop_clock: LoopClock, timers: Timers) -> None:
    """What was due then stays undone."""
    called: list[int] = []
    timers.set('one', asyncio.get_running_loop().time() + 10, lambda: called.append(1))
    timers.close()
    await loop_clock.advance(100)
    assert called == []
