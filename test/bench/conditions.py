# SPDX-License-Identifier: Apache-2.0
"""A thousand instances on one topic: how long each reading keeps the event loop from others."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
import time

from fakes import FakeRobot

from bench.figures import at_most, Line, Series
from gateway_node.clock import SystemClock
from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.sources import TopicValue
from gateway_node.triggers.arming import Arming, Surroundings
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.wall_times import WallTimes
from gateway_node.triggers.watches import Watches

CONDITIONS = 1000
READINGS = 60
PAUSE_SEC = 0.05
HELD_GOAL_MS = 10.0
TEMPERATURE = TopicValue(topic='/battery', field='temperature')


def condition_cost(folder: Path) -> Iterator[Line]:
    """Processor time of the loop's thread: between two of its turns, and for each reading."""
    held, each = asyncio.run(_read())
    yield Line(
        figure=f'the loop is held, {CONDITIONS} conditions on one topic',
        series=held,
        goal=at_most(HELD_GOAL_MS, max(held.values), 'longest', 'ms'),
    )
    yield Line(figure=f'a reading for {CONDITIONS} conditions', series=each)


async def _read() -> tuple[Series, Series]:
    robot, turns, clock = FakeRobot(), Turns(), SystemClock()
    timers = Timers(clock.monotonic, turns)
    around = Surroundings(
        watches=Watches(robot, turns),
        timers=timers,
        wall_times=WallTimes(clock, timers),
        clock=clock,
        up_sec=clock.monotonic,
    )
    armed = [
        Arming(condition, around, lambda fires: None, last=False)
        for number in range(CONDITIONS)
        if (condition := parse_condition(_document(number), '', [], moments=True))
    ]
    held: list[float] = []
    probing = asyncio.create_task(_probe(held))
    await _tell(robot)
    probing.cancel()
    each = await _tell(robot)
    for arming in armed:
        arming.end()
    timers.close()
    return Series(values=held), Series(values=each)


async def _tell(robot: FakeRobot) -> list[float]:
    """Have readings taken by all; return what the loop's thread used for each, in ms."""
    used = []
    for number in range(READINGS):
        before = time.thread_time()
        robot.set(TEMPERATURE, 50 + number % 30)
        await asyncio.sleep(PAUSE_SEC)
        used.append((time.thread_time() - before) * 1000)
    return used


def _document(number: int) -> dict[str, object]:
    return {
        'topic': TEMPERATURE.topic,
        'field': TEMPERATURE.field,
        'above': 60 + number % 10,
        'for': 1 + number % 3,
    }


async def _probe(held: list[float]) -> None:
    """Measure how much others use of the loop's thread in each of its turns."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(0)
        held.append((time.thread_time() - before) * 1000)
