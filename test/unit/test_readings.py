# SPDX-License-Identifier: Apache-2.0
"""Readings on their way from a thread to the loop."""

import asyncio

import pytest

from gateway_node.conditions.sources import LifecycleState, Reading, RobotSource, TopicValue
from gateway_node.ros import readings as module
from gateway_node.ros.readings import Readings

EACH = TopicValue(topic='/t', field='data', every=True)
SAMPLED = TopicValue(topic='/t', field='data')
STATE = LifecycleState(node='/arm')

Told = list[tuple[RobotSource, object, int]]


def stage() -> tuple[Readings, Told]:
    """Return what is tested, and a list of what the loop was told."""
    told: Told = []

    def tell(source: RobotSource, reading: Reading) -> None:
        told.append((source, reading.fault or reading.value, reading.messages))

    return Readings(asyncio.get_running_loop(), tell), told


async def test_the_newest_of_what_is_sampled_and_each_of_the_rest_is_told_in_order() -> None:
    """What was read together comes together; messages that nobody hears of are counted."""
    readings, told = stage()
    for number in range(3):
        at = float(number)
        reading = Reading(at=at, value=number)
        readings.put({EACH: reading, SAMPLED: reading})
        readings.put({STATE: Reading(at=at, value=f'state {number}')})
    assert told == []
    readings.send()
    readings.send()
    await asyncio.sleep(0)
    assert [each[1] for each in told if each[0] == EACH] == [0, 1, 2]
    assert [each for each in told if each[0] == SAMPLED] == [(SAMPLED, 2, 3)]
    assert [each[1] for each in told if each[0] == STATE] == ['state 0', 'state 1', 'state 2']
    assert told.index((SAMPLED, 2, 3)) == told.index((EACH, 2, 1)) + 1


async def test_a_fault_counts_no_messages() -> None:
    """Neither does it take over those before it."""
    readings, told = stage()
    readings.put({SAMPLED: Reading(at=0, value=1)})
    readings.put({SAMPLED: Reading(at=1, fault='nobody publishes /t')})
    readings.put({SAMPLED: Reading(at=2, value=2)})
    readings.send()
    await asyncio.sleep(0)
    assert told == [(SAMPLED, 2, 1)]


async def test_what_the_loop_does_not_take_in_time_has_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest value is the last one told all the same, and all messages are counted."""
    monkeypatch.setattr(module, 'MAX_WAITING', 3)
    readings, told = stage()
    for number in range(10):
        readings.put({EACH: Reading(at=number, value=number)})
    readings.send()
    await asyncio.sleep(0)
    assert told == [(EACH, 0, 1), (EACH, 1, 1), (EACH, 9, 8)]


async def test_others_have_their_turn_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much was read."""
    monkeypatch.setattr(module, 'SLICE_SEC', -1.0)
    readings, told = stage()
    for number in range(3):
        readings.put({EACH: Reading(at=number, value=number)})
    readings.send()
    counts = []
    for _ in range(4):
        await asyncio.sleep(0)
        counts.append(len(told))
    assert counts == [1, 2, 3, 3]
    readings.put({EACH: Reading(at=4, value=4)})
    readings.send()
    await asyncio.sleep(0)
    assert len(told) == 4


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    """And nobody fails of it."""

    async def make() -> tuple[Readings, Told]:
        return stage()

    readings, told = asyncio.run(make())
    readings.put({EACH: Reading(at=0, value=0)})
    readings.send()
    assert told == []
