# SPDX-License-Identifier: Apache-2.0
"""Preconditions are judged by fresh values, and watched as long as somebody needs them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fakes import FakeRobot
from loop_clock import LoopClock
import pytest
from watched_robot import CHARGED, precondition, preconditions_on, SPEED, STANDS, VOLTAGE

from gateway_node.conditions.sources import GraphKind, Presence
from gateway_node.executions.preconditions import Standing
from gateway_node.triggers.looks import LINGER_SEC, Preconditions

NODE = Presence(kind=GraphKind.NODE, name='/arm')
ARM_IS_THERE = {'node': '/arm'}


@dataclass
class Robot:
    """A robot, and who looks at it."""

    values: FakeRobot
    check: Preconditions
    clock: LoopClock

    async def looked_at(self, *wanted: Any, patience_sec: float = 0.0) -> list[Standing]:
        """Return how preconditions stand."""
        return [*await self.check.look(wanted, patience_sec=patience_sec)]

    async def begun(self, *wanted: Any, patience_sec: float = 0.0) -> 'asyncio.Task[Any]':
        """Begin a look that has to wait."""
        task = asyncio.create_task(self.looked_at(*wanted, patience_sec=patience_sec))
        await asyncio.sleep(0.01)
        assert not task.done()
        return task


@pytest.fixture
async def robot(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Robot]:
    """Give a robot of which nothing is known; in the end nothing of it is watched."""
    clock = LoopClock(monkeypatch)
    monotonic = asyncio.get_running_loop().time
    values = FakeRobot(monotonic)
    check = preconditions_on(values, monotonic)
    yield Robot(values=values, check=check, clock=clock)
    check.close()
    assert not values.watched


async def test_a_value_that_is_as_wanted_is_enough(robot: Robot) -> None:
    """It is met at once, and the value and its age are told."""
    robot.values.set(VOLTAGE, 12.5)
    (standing,) = await robot.looked_at(precondition(CHARGED))
    assert standing.met
    assert standing.told['value'] == 12.5
    assert 0 <= standing.told['age_sec'] < 60


async def test_a_value_that_is_not_as_wanted_is_told_at_once(robot: Robot) -> None:
    """Another one need not be waited for."""
    robot.values.set(VOLTAGE, 9.5)
    (standing,) = await robot.looked_at(precondition(CHARGED))
    assert not standing.met
    assert (standing.told['truth'], standing.told['value']) == (False, 9.5)
    assert standing.why.startswith('is 9.5, 0')


async def test_a_value_is_waited_for_as_long_as_it_may_be_old(robot: Robot) -> None:
    """The first that comes decides."""
    look = await robot.begun(precondition(CHARGED, max_age_sec=50))
    await robot.clock.advance(40)
    robot.values.set(VOLTAGE, 11)
    (standing,) = await look
    assert standing.met


async def test_where_no_value_comes_it_is_told_why(robot: Robot) -> None:
    """In the words of who would have read it; nothing is known then."""
    robot.values.fault(VOLTAGE, 'nobody publishes /battery')
    look = await robot.begun(precondition(CHARGED, max_age_sec=50))
    await robot.clock.advance(51)
    (standing,) = await look
    assert not standing.met
    assert standing.told['truth'] is None
    assert standing.why == 'nobody publishes /battery'


async def test_a_value_from_long_ago_does_not_count(robot: Robot) -> None:
    """Nothing else came, so it is told how old it is."""
    robot.values.set(VOLTAGE, 12)
    await robot.clock.advance(100)
    look = await robot.begun(precondition(CHARGED, max_age_sec=50))
    await robot.clock.advance(51)
    (standing,) = await look
    assert (standing.met, standing.told['truth'], standing.told['value']) == (False, None, 12)
    assert standing.told['age_sec'] > 100
    assert 'nothing came for 50 s' in standing.why


async def test_all_that_is_required_is_looked_at_at_once(robot: Robot) -> None:
    """Each is told, and the wait of one is the wait of all."""
    robot.values.set(VOLTAGE, 9)
    wanted = [precondition(each, max_age_sec=50) for each in (CHARGED, STANDS, ARM_IS_THERE)]
    look = await robot.begun(*wanted)
    assert set(robot.values.watched) == {VOLTAGE, SPEED, NODE}
    robot.values.set(NODE, False)
    robot.values.set(SPEED, 0)
    assert [each.met for each in await look] == [False, True, False]


async def test_a_hundred_looks_at_once_share_one_watch(robot: Robot) -> None:
    """And so does who comes a moment later: the robot is not asked again."""
    looks = [await robot.begun(precondition(CHARGED, max_age_sec=50)) for _ in range(100)]
    assert robot.values.watched == {VOLTAGE: 1}
    robot.values.set(VOLTAGE, 11)
    assert all(standing.met for (standing,) in await asyncio.gather(*looks))
    assert robot.values.watched == {VOLTAGE: 1}
    await robot.looked_at(precondition(CHARGED, max_age_sec=50))
    await robot.clock.advance(LINGER_SEC + 1)
    assert not robot.values.watched


async def test_who_comes_to_a_watch_that_saw_nothing_does_not_wait_again(robot: Robot) -> None:
    """Nothing came for as long as a value may be old: that is known already."""
    look = await robot.begun(precondition(CHARGED, max_age_sec=5))
    await robot.clock.advance(6)
    (first,) = await look
    (second,) = await robot.looked_at(precondition(CHARGED, max_age_sec=5))
    assert (first.met, second.met) == (False, False)
    assert second.told['truth'] is None


async def test_a_look_that_is_cancelled_leaves_nothing_watched(robot: Robot) -> None:
    """Once the watch does not linger any more."""
    look = await robot.begun(precondition(CHARGED, max_age_sec=50))
    look.cancel()
    await asyncio.wait({look})
    await robot.clock.advance(LINGER_SEC + 1)
    assert not robot.values.watched


async def test_how_long_it_has_to_hold_is_waited_for_too(robot: Robot) -> None:
    """The watch that lingers goes on counting for who comes next."""
    robot.values.set(NODE, True)
    look = await robot.begun(precondition(ARM_IS_THERE | {'for': 30}, max_age_sec=1))
    await robot.clock.advance(30)
    (standing,) = await look
    assert standing.met
    await robot.clock.advance(5)
    (standing,) = await robot.looked_at(precondition(ARM_IS_THERE | {'for': 30}, max_age_sec=1))
    assert standing.met


async def test_with_patience_it_is_waited_for_until_all_is_met(robot: Robot) -> None:
    """As where a robot starts, whose nodes come one after the other."""
    robot.values.set(NODE, False)
    wanted = [precondition(each) for each in (ARM_IS_THERE, CHARGED)]
    look = await robot.begun(*wanted, patience_sec=60)
    await robot.clock.advance(30)
    robot.values.set(NODE, True)
    await asyncio.sleep(0.01)
    assert not look.done()
    robot.values.set(VOLTAGE, 12)
    assert [each.met for each in await look] == [True, True]


async def test_patience_ends(robot: Robot) -> None:
    """Then each is told as it stands."""
    robot.values.set(NODE, False)
    look = await robot.begun(precondition(ARM_IS_THERE), patience_sec=60)
    await robot.clock.advance(61)
    (standing,) = await look
    assert not standing.met


async def held(robot: Robot, condition: Any, **fields: Any) -> 'asyncio.Future[Standing]':
    """Have a precondition held; return what is done once it is lost."""
    lost: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
    robot.check.hold(precondition(condition, **fields), lost.set_result)
    await asyncio.sleep(0.01)
    return lost


async def test_what_is_held_is_lost_with_the_first_value_that_is_not_as_wanted(
    robot: Robot,
) -> None:
    """Once, and with that value; it is not watched for that any more."""
    robot.values.set(VOLTAGE, 12)
    lost = await held(robot, CHARGED)
    assert not lost.done()
    robot.values.set(VOLTAGE, 9)
    standing = await lost
    assert (standing.met, standing.told['value']) == (False, 9)
    robot.values.set(VOLTAGE, 8)
    await robot.clock.advance(LINGER_SEC + 1)
    assert not robot.values.watched


async def test_what_cannot_be_seen_any_more_is_lost_once_the_last_value_is_old(
    robot: Robot,
) -> None:
    """A publisher that dies is no proof that all is well; a fault does not count before that."""
    robot.values.set(VOLTAGE, 12)
    lost = await held(robot, CHARGED, max_age_sec=50)
    robot.values.fault(VOLTAGE, 'nobody publishes /battery')
    await robot.clock.advance(40)
    assert not lost.done()
    await robot.clock.advance(11)
    standing = await lost
    assert standing.told['truth'] is None
    assert standing.why.startswith('nobody publishes /battery')


async def test_values_that_go_on_coming_keep_what_is_held(robot: Robot) -> None:
    """Though none of them is another one; a fault in between is made good."""
    robot.values.set(VOLTAGE, 12)
    lost = await held(robot, CHARGED, max_age_sec=50)
    for _ in range(4):
        await robot.clock.advance(30)
        robot.values.fault(VOLTAGE, 'nobody publishes /battery')
        robot.values.set(VOLTAGE, 12)
    assert not lost.done()


async def test_the_graph_is_as_new_as_it_is_told(robot: Robot) -> None:
    """What is there stays so as long as nothing else is said, however long; a fault counts from
    when it is told."""
    robot.values.set(NODE, True)
    lost = await held(robot, ARM_IS_THERE, max_age_sec=50)
    await robot.clock.advance(500)
    assert not lost.done()
    robot.values.fault(NODE, 'the graph cannot be read')
    await robot.clock.advance(40)
    assert not lost.done()
    await robot.clock.advance(11)
    assert (await lost).why.startswith('the graph cannot be read')


async def test_what_does_not_hold_from_the_start_is_lost_at_once(robot: Robot) -> None:
    """It may have changed since it was looked at, when nobody watched."""
    robot.values.set(NODE, False)
    assert not (await (await held(robot, ARM_IS_THERE))).met


async def test_what_nobody_can_see_is_lost_after_its_time(robot: Robot) -> None:
    """Never seen is as not seen any more."""
    lost = await held(robot, CHARGED, max_age_sec=50)
    await robot.clock.advance(40)
    assert not lost.done()
    await robot.clock.advance(11)
    assert not (await lost).met


async def test_nothing_is_told_once_it_is_not_held_any_more(robot: Robot) -> None:
    """Whatever comes then."""
    robot.values.set(VOLTAGE, 12)
    told: list[Standing] = []
    end = robot.check.hold(precondition(CHARGED), told.append)
    await asyncio.sleep(0.01)
    end()
    robot.values.set(VOLTAGE, 9)
    await asyncio.sleep(0.01)
    assert told == []


async def test_of_a_condition_with_parts_each_is_told(robot: Robot) -> None:
    """With its value and its age, and in the sentence what of it is not so."""
    robot.values.set(VOLTAGE, 12)
    robot.values.set(SPEED, 2)
    (standing,) = await robot.looked_at(precondition({'all': [CHARGED, STANDS]}))
    assert [part['truth'] for part in standing.told['parts']] == [True, False]
    assert [part['value'] for part in standing.told['parts']] == [12, 2]
    assert '/odom speed is 0: is 2' in standing.why
