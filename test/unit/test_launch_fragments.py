# SPDX-License-Identifier: Apache-2.0
"""How often, and how many at a time, launch fragments are read."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.ports import EndCause, Outcome
from gateway_node.process.command_line import Interpreters
from gateway_node.process.launch_fragments import LaunchFragments
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Script, ScriptKind

WORLD = ScriptWorld(
    variables={},
    interpreters=Interpreters(python='/py', python_version='3.12'),
    modules=frozenset({'launch'}),
)
READ = Outcome(cause=EndCause.EXITED, exit_code=0, result={'arguments': [], 'complete': True})


def fragment(number: int) -> Script:
    """Return a fragment that is not there."""
    return Script(
        id=f'script_{number}',
        name='x.launch.py',
        kind=ScriptKind.LAUNCH,
        path=Path(f'/library/{number}'),
        version='0',
        size=1,
    )


class Readings:
    """Counts what is read, and holds it until it may go on."""

    def __init__(self) -> None:
        self.all = 0
        self.now = 0
        self.most = 0
        self.go_on = asyncio.Event()

    async def describe(self, script: Script, world: ScriptWorld) -> Outcome:
        """Read a fragment that declares nothing."""
        self.all += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        self.now -= 1
        return READ


async def test_many_starts_read_a_fragment_once() -> None:
    """Who comes while a version is read waits for the same reading, a cancelled one aside."""
    readings = Readings()
    fragments = LaunchFragments(readings.describe)
    checks = [asyncio.create_task(fragments.check(fragment(1), {}, WORLD)) for _ in range(50)]
    await asyncio.sleep(0)
    checks[0].cancel()
    readings.go_on.set()
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None] * 49
    assert readings.all == 1


async def test_two_fragments_are_read_at_a_time() -> None:
    """Starts of fifty fragments do not make fifty processes."""
    readings = Readings()
    fragments = LaunchFragments(readings.describe)
    checks = [asyncio.create_task(fragments.check(fragment(n), {}, WORLD)) for n in range(50)]
    for _ in range(10):
        await asyncio.sleep(0)
    readings.go_on.set()
    await asyncio.gather(*checks)
    assert (readings.all, readings.most) == (50, 2)


BROKEN = Outcome(cause=EndCause.EXITED, exit_code=1)


@pytest.mark.parametrize(
    'outcome',
    [
        BROKEN,
        Outcome(cause=EndCause.TIMED_OUT, signal=15),
        Outcome(cause=EndCause.SUPERVISOR_LOST),
        Outcome(cause=EndCause.EXITED, exit_code=0),
        Outcome(cause=EndCause.EXITED, exit_code=0, result={'arguments': 5}),
        Outcome(cause=EndCause.EXITED, exit_code=0, result={'arguments': [{}], 'complete': True}),
    ],
    ids=['broken', 'timed out', 'lost', 'silent', 'garbage', 'more garbage'],
)
async def test_a_version_that_cannot_be_read_is_executed_once_to_be_read(outcome: Outcome) -> None:
    """Whatever came of it is remembered; each start is let through, and says what is wrong."""
    read: list[str] = []

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        read.append(script.id)
        return outcome

    fragments = LaunchFragments(describe)
    for _ in range(3):
        await fragments.check(fragment(1), {'anything': 5}, WORLD)
    assert read == ['script_1']
    await fragments.check(replace(fragment(1), version='1'), {}, WORLD)
    await fragments.check(fragment(1), {}, replace(WORLD, variables={'A': '1'}))
    assert read == ['script_1'] * 3


async def test_memory_lets_a_start_through_and_refuses_none() -> None:
    """What a fragment includes or imports may have changed: it is read anew before a 400."""
    read: list[str] = []
    required = {'name': 'text', 'required': True, 'choices': None}

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        read.append(script.id)
        return replace(READ, result={'arguments': arguments, 'complete': True})

    fragments = LaunchFragments(describe)
    arguments = [required]
    with pytest.raises(ParametersInvalid, match="'text' is required"):
        await fragments.check(fragment(1), {}, WORLD)
    arguments = []
    await fragments.check(fragment(1), {}, WORLD)
    arguments = [required]
    await fragments.check(fragment(1), {}, WORLD)
    assert len(read) == 2
    await fragments.check(fragment(1), {'text': 'x'}, WORLD)
    assert len(read) == 3


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    """More versions than are remembered cost the oldest its memory, not all of them."""
    readings = Readings()
    readings.go_on.set()
    fragments = LaunchFragments(readings.describe)
    for number in range(257):
        await fragments.check(fragment(number), {}, WORLD)
    for number in range(1, 257):
        await fragments.check(fragment(number), {}, WORLD)
    assert readings.all == 257
    await fragments.check(fragment(0), {}, WORLD)
    assert readings.all == 258


async def test_a_close_gives_up_what_is_being_read() -> None:
    """A fragment that sleeps while it is read does not hold up the end of the gateway."""
    readings = Readings()
    fragments = LaunchFragments(readings.describe)
    checks = [asyncio.create_task(fragments.check(fragment(n), {}, WORLD)) for n in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    await fragments.close()
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)


@pytest.mark.parametrize('error', [OSError(24, 'Too many open files'), SpawnFailed('no disk')])
async def test_a_fragment_that_cannot_be_read_now_may_be_read_later(error: Exception) -> None:
    """What the machine lacks at the moment is no fault of the fragment's."""

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        if failures:
            raise failures.pop()
        return READ

    failures = [error]
    fragments = LaunchFragments(describe)
    with pytest.raises(RunnerUnavailable):
        await fragments.check(fragment(1), {}, WORLD)
    await fragments.check(fragment(1), {}, WORLD)
