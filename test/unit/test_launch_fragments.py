# SPDX-License-Identifier: Apache-2.0
"""How often, and how many at a time, launch fragments are read."""

import asyncio
from dataclasses import replace
from pathlib import Path

from fakes import FakeClock
import pytest
from waiting import wait_until

from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.runner_ports import EndCause, LimitReached, Outcome
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

    def __init__(self, found: Outcome = READ) -> None:
        self._found = found
        self.all = 0
        self.now = 0
        self.most = 0
        self.go_on = asyncio.Event()

    async def describe(self, script: Script, world: ScriptWorld) -> Outcome:
        """Read a fragment; by default one that declares nothing."""
        self.all += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        self.now -= 1
        return self._found


async def test_many_starts_read_a_fragment_once() -> None:
    """Who comes while a version is read waits for the same reading, a cancelled one aside."""
    readings = Readings()
    fragments = LaunchFragments(readings.describe, FakeClock())
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
    fragments = LaunchFragments(readings.describe, FakeClock())
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

    fragments = LaunchFragments(describe, FakeClock())
    for _ in range(3):
        await fragments.check(fragment(1), {'anything': 5}, WORLD)
    assert read == ['script_1']
    await fragments.check(replace(fragment(1), version='1'), {}, WORLD)
    await fragments.check(fragment(1), {}, replace(WORLD, variables={'A': '1'}))
    assert read == ['script_1'] * 3


@pytest.mark.parametrize(
    ('outcome', 'reason'),
    [
        (
            replace(BROKEN, result={'failed': 'RuntimeError: no battery'}),
            'RuntimeError: no battery',
        ),
        (replace(BROKEN, exit_code=0, result={'failed': 'OSError: gone'}), 'OSError: gone'),
        (BROKEN, 'its process exited with 1'),
        (Outcome(cause=EndCause.TIMED_OUT, signal=15), 'that took longer than 15 s'),
        (Outcome(cause=EndCause.EXITED, signal=11), 'its process died of signal 11'),
        (Outcome(cause=EndCause.SUPERVISOR_LOST, message='it is lost'), 'it is lost'),
        (
            Outcome(
                cause=EndCause.LIMIT_REACHED,
                limit=LimitReached(name='memory_mb', value=1024, used=1025),
            ),
            'that used more than 1024 (memory_mb)',
        ),
    ],
    ids=['raises', 'raises well', 'ends', 'hangs', 'crashes', 'lost', 'limit'],
)
async def test_a_fragment_that_cannot_be_read_is_warned_of_with_the_reason(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, reason: str
) -> None:
    """In the execution, which began late or unchecked, and in the log."""
    readings = Readings(outcome)
    readings.go_on.set()
    fragments = LaunchFragments(readings.describe, FakeClock())
    with caplog.at_level('INFO'):
        await fragments.check(fragment(1), {'anything': 5}, WORLD)
    told = f'the arguments of the launch fragment could not be read: {reason}'
    assert fragments.warnings(fragment(1), {'anything': 5}) == (told,)
    assert f'a launch fragment cannot be read: script script_1, {reason}' in caplog.text


def requiring(*names: str) -> Outcome:
    """Return what the reading of a fragment found that requires arguments."""
    arguments = [{'name': name, 'required': True, 'choices': None} for name in names]
    return replace(READ, result={'arguments': arguments, 'complete': True})


async def test_memory_lets_a_start_through_and_refuses_for_a_moment_only() -> None:
    """What a fragment includes or imports may have changed: it is read anew before a 400."""
    read: list[str] = []

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        read.append(script.id)
        return found

    clock = FakeClock()
    fragments = LaunchFragments(describe, clock)
    found = requiring('text')
    with pytest.raises(ParametersInvalid, match="'text' is required"):
        await fragments.check(fragment(1), {}, WORLD)
    clock.advance(1)
    choosing = [{'name': 'text', 'required': False, 'choices': ['x']}]
    found = replace(READ, result={'arguments': choosing, 'complete': True})
    await fragments.check(fragment(1), {}, WORLD)
    found = requiring()
    await fragments.check(fragment(1), {}, WORLD)
    with pytest.raises(ParametersInvalid, match="'y' is not allowed; allowed: x"):
        await fragments.check(fragment(1), {'text': 'y'}, WORLD)
    assert len(read) == 2
    clock.advance(1)
    await fragments.check(fragment(1), {'text': 'y'}, WORLD)
    assert len(read) == 3


async def test_a_client_that_tries_again_and_again_executes_a_fragment_once_a_second() -> None:
    """A refusal counts for a moment, from the end of the reading, however long that took."""
    began: list[float] = []

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        began.append(clock.monotonic())
        clock.advance(5)
        return requiring('text')

    clock = FakeClock()
    start = clock.monotonic()
    fragments = LaunchFragments(describe, clock)
    for _ in range(20):
        with pytest.raises(ParametersInvalid, match="'text' is required"):
            await fragments.check(fragment(1), {}, WORLD)
        clock.advance(0.125)
    assert [each - start for each in began] == [0, 6, 12]
    await fragments.check(fragment(1), {'text': 'x'}, WORLD)
    assert len(began) == 3


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    """More versions than are remembered cost the oldest its memory, not all of them."""
    readings = Readings()
    readings.go_on.set()
    fragments = LaunchFragments(readings.describe, FakeClock())
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
    fragments = LaunchFragments(readings.describe, FakeClock())
    checks = [asyncio.create_task(fragments.check(fragment(n), {}, WORLD)) for n in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    await fragments.close()
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)


async def test_a_close_gives_up_what_was_being_read_in_an_earlier_environment() -> None:
    """SIGHUP while a fragment hangs, then SIGTERM: nobody waits for that reading any more."""
    readings = Readings()
    fragments = LaunchFragments(readings.describe, FakeClock())
    worlds = (WORLD, replace(WORLD, variables={'A': '1'}))
    checks = []
    for world in worlds:
        checks.append(asyncio.create_task(fragments.check(fragment(1), {}, world)))
        await wait_until(lambda: readings.now == len(checks), what='the fragment is being read')
    async with asyncio.timeout(10):
        await fragments.close()
        results = await asyncio.gather(*checks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)


async def test_who_waits_for_a_reading_gets_an_answer_when_the_environment_changes() -> None:
    """It is that of the environment in which the start was asked for."""
    readings = Readings(requiring('x'))
    fragments = LaunchFragments(readings.describe, FakeClock())
    earlier = asyncio.create_task(fragments.check(fragment(1), {}, WORLD))
    await wait_until(lambda: readings.now == 1, what='the fragment is being read')
    world = replace(WORLD, variables={})
    later = asyncio.create_task(fragments.check(fragment(1), {'x': 1}, world))
    readings.go_on.set()
    with pytest.raises(ParametersInvalid):
        await earlier
    await later
    assert readings.all == 2


@pytest.mark.parametrize('error', [OSError(24, 'Too many open files'), SpawnFailed('no disk')])
async def test_a_fragment_that_cannot_be_read_now_may_be_read_later(error: Exception) -> None:
    """What the machine lacks at the moment is no fault of the fragment's."""

    async def describe(script: Script, world: ScriptWorld) -> Outcome:
        if failures:
            raise failures.pop()
        return READ

    failures = [error]
    fragments = LaunchFragments(describe, FakeClock())
    with pytest.raises(RunnerUnavailable):
        await fragments.check(fragment(1), {}, WORLD)
    await fragments.check(fragment(1), {}, WORLD)
