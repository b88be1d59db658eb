"""How often, and how many at a time, launch fragments are read."""

import asyncio
from pathlib import Path

import pytest

from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.ports import EndCause, Outcome
from gateway_node.process.command_line import Interpreters
from gateway_node.process.launch_fragments import LaunchFragments
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.values import Script, ScriptKind

WORLD = ScriptWorld(
    variables={}, interpreters=Interpreters(python='/py'), modules=frozenset({'launch'})
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
