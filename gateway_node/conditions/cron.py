# SPDX-License-Identifier: Apache-2.0
"""Times of the clock on the wall, in the five fields of crontab(5): minute, hour, day of the
month, month, day of the week.

Pure: which time it is, and in which zone, is given.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, MAXYEAR, time, timedelta, tzinfo, UTC
import re

from gateway_node.strict_json import shown

ALLOWED = (
    'five fields, minute hour day month weekday, each *, a number, a range, a list or a step: '
    '"0 3 * * 1-5"'
)
"""For messages."""

_MONTHS = ('jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec')
_WEEKDAYS = ('sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat')
_DAYS_OF_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r'(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?')

_LONGEST_SHIFT = timedelta(hours=3)
"""More than clocks are set forward or back for a summer."""
_SECOND = timedelta(seconds=1)


class CronRefused(ValueError):
    """A schedule that is none; the text says what is the matter."""


@dataclass(frozen=True, kw_only=True)
class _Field:
    name: str
    low: int
    high: int
    words: Mapping[str, int]

    @property
    def all(self) -> frozenset[int]:
        return frozenset(range(self.low, self.high + 1))


_FIELDS = (
    _Field(name='minute', low=0, high=59, words={}),
    _Field(name='hour', low=0, high=23, words={}),
    _Field(name='day', low=1, high=31, words={}),
    _Field(name='month', low=1, high=12, words={word: i + 1 for i, word in enumerate(_MONTHS)}),
    _Field(name='weekday', low=0, high=7, words={word: i for i, word in enumerate(_WEEKDAYS)}),
)


@dataclass(frozen=True, kw_only=True)
class CronTimes:
    """The minutes that a schedule means.

    Where the clock is set forward, a time that is skipped comes right after; where it is set back,
    a time that is there twice counts once. A schedule for every hour goes by the clock instead:
    none that is skipped, each that is there.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    """Of the month, 1 to 31."""
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 to 6, Sunday is 0."""
    either_day: bool
    """Whether both kinds of days are restricted: then either is enough, as crontab(5) has it."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return, in UTC, the first time after a moment by the clock of its zone; None: there is
        none."""
        zone = moment.tzinfo
        if zone is None:
            raise ValueError(f'{moment} has no zone')
        if len(self.hours) == _HOURS_OF_A_DAY:
            return self._by_the_clock(moment, zone)
        at = moment.astimezone(UTC)
        for naive in self._matches(moment.replace(tzinfo=None)):
            found = _came(naive, zone)
            if found > at:
                return found
        return None

    def _by_the_clock(self, moment: datetime, zone: tzinfo) -> datetime | None:
        at = moment.astimezone(UTC)
        soon = at + _LONGEST_SHIFT
        # No clock is set twice within so short a time.
        stays = at.astimezone(zone).utcoffset() == soon.astimezone(zone).utcoffset()
        begin = moment.replace(tzinfo=None)
        found: datetime | None = None
        seen: datetime | None = None
        for naive in self._matches(begin if stays else begin - _LONGEST_SHIFT):
            if seen is not None and naive > seen + _LONGEST_SHIFT:
                break
            for fold in (0, 1):
                each = naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)
                is_there = each.astimezone(zone).replace(tzinfo=None, fold=0) == naive
                if is_there and each > at and (found is None or each < found):
                    found, seen = each, seen or naive
            if stays and found is not None and found <= soon:
                break
        return found

    def _matches(self, after: datetime) -> Iterator[datetime]:
        """Go through the minutes that match after a time, by the calendar alone."""
        day = after.date()
        for hour, minute in self._times_of_a_day():
            naive = datetime.combine(day, time(hour, minute))
            if naive > after and self._has_day(day):
                yield naive
        while (following := self._next_day(day)) is not None:
            day = following
            for hour, minute in self._times_of_a_day():
                yield datetime.combine(day, time(hour, minute))

    def _times_of_a_day(self) -> Iterator[tuple[int, int]]:
        minutes = sorted(self.minutes)
        return ((hour, minute) for hour in sorted(self.hours) for minute in minutes)

    def _next_day(self, day: date) -> date | None:
        while (day.year, day.month, day.day) != (MAXYEAR, 12, 31):
            day += timedelta(days=1)
            if self._has_day(day):
                return day
        return None

    def _has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_number = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return by_number or by_weekday if self.either_day else by_number and by_weekday


_HOURS_OF_A_DAY = 24


def parse_cron(schedule: str) -> CronTimes:
    """Read a schedule.

    Raises:
        CronRefused: what is wrong, and what is allowed.
    """
    texts = schedule.lower().split()
    if len(texts) != len(_FIELDS):
        raise CronRefused(f'is {shown(schedule)}; allowed: {ALLOWED}')
    read = [_values(text, field) for text, field in zip(texts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = read
    by_day, by_weekday = texts[2] != '*', texts[4] != '*'
    if not by_weekday and all(min(days) > _DAYS_OF_MONTHS[month - 1] for month in months):
        raise CronRefused(
            f'is {shown(schedule)}, which never comes: none of these months has such a day'
        )
    return CronTimes(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(each % 7 for each in weekdays),
        either_day=by_day and by_weekday,
    )


def _values(text: str, field: _Field) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(','):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _refused(item, field)
        first, last, step = match.groups()
        low = field.low if first is None else _number(first, field)
        high = field.high if first is None else low if last is None else _number(last, field)
        if high < low or (step is not None and (int(step) == 0 or first is not None is last)):
            raise _refused(item, field)
        values.update(range(low, high + 1, int(step or 1)))
    return frozenset(values)


def _number(text: str, field: _Field) -> int:
    number = field.words.get(text, int(text) if text.isdigit() else -1)
    if not field.low <= number <= field.high:
        raise _refused(text, field)
    return number


def _refused(item: str, field: _Field) -> CronRefused:
    words = f', or {next(iter(field.words))} to {[*field.words][-1]}' if field.words else ''
    return CronRefused(
        f'has {shown(item)} as its {field.name}; allowed: *, {field.low} to {field.high}{words}, '
        'ranges as 1-5, steps as */10 or 8-18/2, and lists of these'
    )


def _came(naive: datetime, zone: tzinfo) -> datetime:
    """Return when the clock first shows a time; where it is skipped, when it is set forward."""
    before, after = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # Of a time that is skipped, fold 0 goes on with the offset before the change (PEP 495).
    return before if before <= after else _change(after, before, zone)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first second with another offset than at `low`, by halving."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
