# SPDX-License-Identifier: Apache-2.0
"""Moments of the calendar while the wall clock jumps, and the machine gets another zone."""

import asyncio
import datetime
from pathlib import Path

from fakes import FakeClock
from loop_clock import LoopClock
import pytest

from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.values import Cron
from gateway_node.triggers import local_zone as zone_module
from gateway_node.triggers.local_zone import local_zone
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.wall_times import WallTimes


def cron(schedule: str, missed: str = 'skip') -> Cron:
    """Read a time of the clock on the wall."""
    condition = parse_condition({'cron': schedule, 'missed': missed}, '', [], moments=True)
    assert isinstance(condition, Cron)
    return condition


class Wall:
    """A wall clock and a monotonic one, in the test's hand, and what happened by them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock(datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC))
        self._loop_clock = LoopClock(monkeypatch)
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(self.clock, 'monotonic', loop.time)
        self.times = WallTimes(self.clock, Timers(loop.time, Turns()))
        self.happened: list[str] = []

    def set(
        self, schedule: str, missed: str = 'skip', *, after: datetime.datetime | None = None
    ) -> None:
        """Note when a moment comes."""

        def happen() -> None:
            self.happened.append(f'{self.clock.wall:%H:%M}')

        self.times.set(schedule + missed, cron(schedule, missed), happen, after=after)

    async def pass_time(self, minutes: float) -> None:
        """Let time pass on both clocks, in steps of half a minute."""
        for _ in range(int(minutes * 2)):
            self.clock.wall += datetime.timedelta(seconds=30)
            await self._loop_clock.advance(30)

    async def jump(self, hours: float) -> None:
        """Set the wall clock, and let it be seen."""
        self.clock.wall += datetime.timedelta(hours=hours)
        await self.pass_time(1)


@pytest.fixture
async def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Noon, in UTC."""
    monkeypatch.setenv('TZ', 'UTC')
    monkeypatch.setattr(LoopClock, 'advance', _advance_quickly)
    return Wall(monkeypatch)


async def _advance_quickly(clock: LoopClock, seconds: float) -> None:
    clock._added_sec += seconds
    for _ in range(5):
        await asyncio.sleep(0.0005)


async def test_a_moment_comes_at_its_time(wall: Wall) -> None:
    """And again at the next one."""
    wall.set('*/10 * * * *')
    await wall.pass_time(21)
    assert wall.happened == ['12:10', '12:20']


async def test_what_is_jumped_over_is_missed(wall: Wall) -> None:
    """By more than a minute; the next one counts."""
    wall.set('*/10 * * * *')
    await wall.jump(5.05)
    assert wall.happened == []
    await wall.pass_time(7)
    assert wall.happened == ['17:10']


async def test_what_is_jumped_over_is_made_up_for_once(wall: Wall) -> None:
    """However many moments it was."""
    wall.set('*/10 * * * *', 'once')
    await wall.jump(5.05)
    assert len(wall.happened) == 1


async def test_nothing_comes_twice_where_the_clock_is_set_back_a_little(wall: Wall) -> None:
    """By less than three hours, as cron(8) has it."""
    wall.set('*/10 * * * *')
    await wall.pass_time(11)
    await wall.jump(-0.5)
    await wall.pass_time(20)
    assert wall.happened == ['12:10']
    await wall.pass_time(20)
    assert wall.happened == ['12:10', '12:20']


async def test_all_begins_anew_where_the_clock_is_set_back_by_much(wall: Wall) -> None:
    """It was wrong before."""
    wall.set('*/10 * * * *')
    await wall.pass_time(11)
    await wall.jump(-24 * 365)
    await wall.pass_time(11)
    assert wall.happened == ['12:10', '12:20']


async def test_what_came_while_nobody_looked_is_made_up_for_once(wall: Wall) -> None:
    """Where the moment up to which somebody did is known, and not in the future."""
    wall.set('30 * * * *', 'once', after=wall.clock.wall - datetime.timedelta(hours=7))
    wall.set('40 * * * *', 'once', after=wall.clock.wall + datetime.timedelta(days=400))
    await wall.pass_time(1)
    assert wall.happened == ['12:00']


async def test_nothing_comes_twice_where_the_clock_was_set_back_while_nobody_looked(
    wall: Wall,
) -> None:
    """By less than three hours, as while somebody does."""
    wall.set('*/10 * * * *', 'once', after=wall.clock.wall + datetime.timedelta(minutes=11))
    await wall.pass_time(21)
    assert wall.happened == ['12:20']


async def test_another_zone_counts_as_soon_as_the_machine_has_it(
    wall: Wall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A robot is carried to another place; its gateway goes on."""
    wall.set('0 14 * * *')
    monkeypatch.setenv('TZ', 'Europe/Berlin')
    localtime = tmp_path / 'localtime'
    localtime.touch()
    monkeypatch.setattr(zone_module, 'LOCALTIME', localtime)
    await wall.pass_time(1)
    await wall.pass_time(60)
    assert wall.happened == ['13:00']


async def test_what_is_forgotten_does_not_come(wall: Wall) -> None:
    """Nothing is looked at for it either."""
    wall.set('*/10 * * * *')
    assert wall.times.due('*/10 * * * *skip') is not None
    wall.times.forget('*/10 * * * *skip')
    await wall.pass_time(11)
    assert wall.happened == []


def test_the_zone_is_what_tz_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty it is UTC; one that nobody knows is the offset of the moment."""
    winter = datetime.datetime(2026, 1, 1)
    monkeypatch.setenv('TZ', ':America/New_York')
    assert local_zone().utcoffset(winter) == datetime.timedelta(hours=-5)
    monkeypatch.setenv('TZ', '')
    assert local_zone() is datetime.UTC
    monkeypatch.setenv('TZ', 'Nowhere/At_All')
    assert local_zone().utcoffset(winter) is not None
