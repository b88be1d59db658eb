# SPDX-License-Identifier: Apache-2.0
"""One watch of each source, and what is read handed to all who look at it."""

import asyncio
import time

from fakes import FakeRobot
import pytest

from gateway_node.conditions.sources import PublisherCount, Reading, RobotSource, TopicValue
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import MAX_WAITING, Readings, Watches

TEMPERATURE = TopicValue(topic='/battery', field='temperature')
VOLTAGE = TopicValue(topic='/battery', field='voltage')
EACH = TopicValue(topic='/bumper', field='pressed', every=True)
MESSAGES = TopicValue(topic='/scan')


class Looker:
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.taken: list[dict[RobotSource, Reading]] = []

    def take(self, readings: Readings) -> None:
        """Take what was read together."""
        self.taken.append(dict(readings))

    def values(self, source: RobotSource) -> list[object]:
        """Return the values of a source, as they came."""
        return [each[source].value for each in self.taken if source in each]


async def settle() -> None:
    """Let the loop do what is to be done now."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def robot() -> FakeRobot:
    """A robot whose values the test sets."""
    return FakeRobot()


@pytest.fixture
async def watches(robot: FakeRobot) -> Watches:
    """What is watched of it."""
    return Watches(robot, Turns())


async def test_a_source_is_watched_once_however_many_look(
    robot: FakeRobot, watches: Watches
) -> None:
    """And only as long as somebody does."""
    ends = [watches.watch([TEMPERATURE], Looker().take) for _ in range(100)]
    assert robot.watched == {TEMPERATURE: 1}
    assert len(watches) == watches.topics == 1
    for end in ends:
        end()
    assert not robot.watched
    assert len(watches) == 0


async def test_all_who_look_take_what_is_read(robot: FakeRobot, watches: Watches) -> None:
    """Each of them, each reading that it has the time for."""
    lookers = [Looker() for _ in range(250)]
    for looker in lookers:
        watches.watch([TEMPERATURE], looker.take)
    for value in (20, 21):
        robot.set(TEMPERATURE, value)
        await settle()
    assert all(each.values(TEMPERATURE) == [20, 21] for each in lookers)


async def test_what_is_read_together_is_taken_together(robot: FakeRobot, watches: Watches) -> None:
    """The fields of one message never stand beside those of another."""
    looker = Looker()
    watches.watch([TEMPERATURE, VOLTAGE], looker.take)
    robot.set(TEMPERATURE, 20)
    robot.set(VOLTAGE, 24)
    await settle()
    (taken,) = looker.taken
    assert {source: each.value for source, each in taken.items()} == {TEMPERATURE: 20, VOLTAGE: 24}


async def test_who_looks_takes_only_what_it_looks_at(robot: FakeRobot, watches: Watches) -> None:
    """Other fields of the same message are others' business."""
    looker, other = Looker(), Looker()
    watches.watch([TEMPERATURE], looker.take)
    watches.watch([VOLTAGE], other.take)
    robot.set(TEMPERATURE, 20)
    robot.set(VOLTAGE, 24)
    await settle()
    assert [set(each) for each in looker.taken] == [{TEMPERATURE}]
    assert [set(each) for each in other.taken] == [{VOLTAGE}]


async def test_who_comes_late_hears_what_is_known(robot: FakeRobot, watches: Watches) -> None:
    """But its messages were counted before."""
    watches.watch([MESSAGES], Looker().take)
    robot.set(MESSAGES, None, messages=7)
    await settle()
    late = Looker()
    watches.watch([MESSAGES, PublisherCount(topic='/scan')], late.take)
    await settle()
    assert [each[MESSAGES].messages for each in late.taken] == [0]


async def test_of_a_sampled_topic_only_the_newest_waits(
    robot: FakeRobot, watches: Watches
) -> None:
    """With the messages of all that it stands for."""
    looker = Looker()
    watches.watch([TEMPERATURE], looker.take)
    for value in range(1000):
        robot.set(TEMPERATURE, value)
    await settle()
    (taken,) = looker.taken
    assert taken[TEMPERATURE].value == 999
    assert taken[TEMPERATURE].messages == 1000


async def test_where_each_message_counts_each_is_taken_in_order(
    robot: FakeRobot, watches: Watches
) -> None:
    """None of them replaces another."""
    looker = Looker()
    watches.watch([EACH], looker.take)
    for value in range(50):
        robot.set(EACH, value)
    await settle()
    assert looker.values(EACH) == list(range(50))


async def test_a_flood_of_messages_that_count_is_bounded(
    robot: FakeRobot, watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    """What is too much for a condition counts as one, which is told once; no message is lost from
    the count."""
    looker = Looker()
    watches.watch([EACH], looker.take)
    for value in range(10 * MAX_WAITING):
        robot.set(EACH, value)
    while sum(each[EACH].messages for each in looker.taken) < 10 * MAX_WAITING:
        await settle()
    assert len(looker.taken) <= 2 * MAX_WAITING
    assert looker.values(EACH)[-1] == 10 * MAX_WAITING - 1
    assert len([each for each in caplog.records if 'come faster' in each.message]) == 1


async def test_who_has_left_takes_nothing_any_more(robot: FakeRobot, watches: Watches) -> None:
    """Not even what was read before."""
    looker, stays = Looker(), Looker()
    end = watches.watch([TEMPERATURE], looker.take)
    watches.watch([TEMPERATURE], stays.take)
    robot.set(TEMPERATURE, 20)
    end()
    await settle()
    assert looker.taken == []
    assert stays.values(TEMPERATURE) == [20]


async def test_one_that_fails_harms_no_other(
    robot: FakeRobot, watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and goes on taking."""
    looker = Looker()

    def fail(readings: Readings) -> None:
        looker.take(readings)
        raise RuntimeError('a condition that fails')

    watches.watch([TEMPERATURE], fail)
    other = Looker()
    watches.watch([TEMPERATURE], other.take)
    for value in (1, 2):
        robot.set(TEMPERATURE, value)
        await settle()
    assert looker.values(TEMPERATURE) == other.values(TEMPERATURE) == [1, 2]
    assert 'a condition that fails' in caplog.text


async def test_others_have_their_turns_between_those_that_look(
    robot: FakeRobot, watches: Watches
) -> None:
    """A thousand slow conditions on one topic are looked at in many turns of the loop."""
    done = 0

    def take_long(readings: Readings) -> None:
        nonlocal done
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        done += 1

    for _ in range(1000):
        watches.watch([TEMPERATURE], take_long)
    robot.set(TEMPERATURE, 20)
    turns = 0
    while done < 1000:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 50
