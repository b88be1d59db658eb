# SPDX-License-Identifier: Apache-2.0
"""Times of cron, held to a model that goes through every minute of the clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta, UTC
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from gateway_node.conditions.cron import CronRefused, parse_cron

MINUTE = timedelta(minutes=1)

CHANGES = {
    'Europe/Berlin': ['2026-03-29T01:00', '2026-10-25T01:00'],
    'America/New_York': ['2026-03-08T07:00', '2026-11-01T06:00'],
    'Australia/Lord_Howe': ['2026-04-04T15:00', '2026-10-03T15:30'],
    'America/Santiago': ['2026-04-05T03:00', '2026-09-06T04:00'],
    'Asia/Kolkata': ['2026-06-01T00:00'],
    'UTC': ['2028-02-29T00:00'],
}
"""When the clocks of some zones change, and where they do not, some time."""


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pytest.skip(f'this machine knows no zone {name}: it has no tzdata')


@cache
def allowed(text: str, low: int, high: int) -> frozenset[int]:
    """Return what a field of numbers means."""
    found: set[int] = set()
    for item in text.split(','):
        span, _, step = item.partition('/')
        first, _, last = span.partition('-')
        begin, end = (low, high) if span == '*' else (int(first), int(last or first))
        found |= {n for n in range(begin, end + 1) if (n - begin) % int(step or 1) == 0}
    return frozenset(found)


def matches(schedule: str, naive: datetime) -> bool:
    """Tell whether a minute of the calendar is meant."""
    minute, hour, day, month, weekday = schedule.split()
    by_day = naive.day in allowed(day, 1, 31)
    by_weekday = naive.isoweekday() % 7 in {n % 7 for n in allowed(weekday, 0, 7)}
    days = by_day or by_weekday if '*' not in (day, weekday) else by_day and by_weekday
    return (
        naive.minute in allowed(minute, 0, 59)
        and naive.hour in allowed(hour, 0, 23)
        and naive.month in allowed(month, 1, 12)
        and days
    )


def fired(schedule: str, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Go through the times of a schedule between two moments, by a clock on the wall."""
    every_hour = len(allowed(schedule.split()[1], 0, 23)) == 24
    now = begin.replace(second=0, microsecond=0)
    shown = {(now - n * MINUTE).astimezone(zone).replace(tzinfo=None) for n in range(300)}
    latest = max(shown)
    while (now := now + MINUTE) <= end:
        wall = now.astimezone(zone).replace(tzinfo=None)
        if every_hour:
            if matches(schedule, wall):
                yield now
            continue
        # All minutes that the clock has passed by now, those that it skipped among them.
        passed = [wall] if wall <= latest else []
        while latest < wall:
            latest += MINUTE
            passed.append(latest)
        if any(each not in shown and matches(schedule, each) for each in passed):
            yield now
        shown.update(passed)


SCHEDULES = [
    '30 2 * * *',
    '30 1 * * *',
    '0 3 * * *',
    '0 2 * * *',
    '15,45 1-3 * * *',
    '*/20 * * * *',
    '0 * * * *',
    '59 23 * * *',
    '5 0-22 * * 0',
    '*/7 2 * * 6-7',
    '0 12 29 2 *',
    '0 0 1 * 1',
    '10 0 */2 3-11/4 *',
    '* 1,2 * * *',
    '30 2 * * 7',
    '0 0 * * *',
    '45 1 * * *',
]


@pytest.mark.parametrize('zone_name', CHANGES)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_times_are_those_that_the_clock_on_the_wall_shows(schedule: str, zone_name: str) -> None:
    """Around each change: what is skipped comes right after, what is doubled once; a schedule for
    every hour goes by the clock."""
    zone = zone_of(zone_name)
    times = parse_cron(schedule)
    for change in CHANGES[zone_name]:
        begin = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(hours=5)
        end = begin + timedelta(hours=30)
        found: list[datetime] = []
        last = begin
        while (coming := times.next_after(last.astimezone(zone))) is not None and coming <= end:
            found.append(coming)
            last = coming
        assert found == [*fired(schedule, begin, end, zone)]


NUMBERS = {
    'minute': st.sampled_from(['*', '0', '7,30', '*/20', '50-59', '59', '5-50/15']),
    'hour': st.sampled_from(['*', '0', '1-3', '2', '*/5', '22,23', '0-23', '*/1']),
    'day': st.sampled_from(['*', '*', '1', '28-31', '*/2', '15']),
    'month': st.sampled_from(['*', '*', '3', '10-12', '*/2']),
    'weekday': st.sampled_from(['*', '*', '0', '7', '1-5', '6,7', '*/3']),
}
RANDOM = st.tuples(*NUMBERS.values()).map(' '.join)


@settings(max_examples=30, deadline=None)
@given(
    schedule=RANDOM,
    zone_name=st.sampled_from([*CHANGES]),
    begin=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 1)),
)
def test_the_next_time_is_the_first_that_the_clock_shows(
    schedule: str, zone_name: str, begin: datetime
) -> None:
    """From any moment; what lies further off than two days is at least later than that."""
    zone = zone_of(zone_name)
    now = begin.replace(tzinfo=UTC)
    end = now + timedelta(days=2)
    found = parse_cron(schedule).next_after(now.astimezone(zone))
    coming = [each for each in fired(schedule, now, end, zone) if each > now]
    assert found is not None
    assert found == coming[0] if coming else found > end


@pytest.mark.parametrize(
    ('schedule', 'after', 'wanted'),
    [
        ('0 12 29 2 *', '2026-03-01T00:00', '2028-02-29T12:00'),
        ('0 12 29 2 *', '2096-03-01T00:00', '2104-02-29T12:00'),
        ('0 0 31 * *', '2026-01-31T00:00', '2026-03-31T00:00'),
        ('0 0 30 2 1', '2026-02-01T00:00', '2026-02-02T00:00'),
        ('0 0 1 jan *', '2026-01-01T00:00', '2027-01-01T00:00'),
        ('0 9 * * MON-fri', '2026-11-27T09:00', '2026-11-30T09:00'),
        ('0 0 13 * 5', '2026-02-01T00:00', '2026-02-06T00:00'),
        ('* * * * *', '2026-02-01T00:00:59', '2026-02-01T00:01'),
        ('  0   3 * *  * ', '2026-02-01T00:00', '2026-02-01T03:00'),
    ],
)
def test_dates_are_those_of_the_calendar(schedule: str, after: str, wanted: str) -> None:
    """Leap days, months without a 31st; where days of both kinds are named either is enough."""
    begin = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse_cron(schedule).next_after(begin) == datetime.fromisoformat(wanted).replace(
        tzinfo=UTC
    )


def test_the_calendar_ends() -> None:
    """In the last year that there is no time comes after the last one."""
    last = datetime(9999, 12, 31, 3, 0, tzinfo=UTC)
    assert parse_cron('0 3 * * *').next_after(last) is None
    assert parse_cron('0 * 1 1 *').next_after(last) is None


@pytest.mark.parametrize(
    ('schedule', 'reason'),
    [
        ('', "is ''; allowed: five fields, minute hour day month weekday"),
        ('@daily', "is '@daily'; allowed: five fields"),
        ('* * * *', "is '* * * *'; allowed: five fields"),
        ('0 0 3 * * *', "is '0 0 3 * * *'; allowed: five fields"),
        ('60 * * * *', "has '60' as its minute; allowed: *, 0 to 59, ranges as 1-5"),
        ('* 24 * * *', "has '24' as its hour; allowed: *, 0 to 23"),
        ('* * 0 * *', "has '0' as its day; allowed: *, 1 to 31"),
        ('* * * 13 *', "has '13' as its month; allowed: *, 1 to 12, or jan to dec"),
        ('* * * * 8', "has '8' as its weekday; allowed: *, 0 to 7, or sun to sat"),
        ('* * * * fun', "has 'fun' as its weekday"),
        ('5-1 * * * *', "has '5-1' as its minute"),
        ('*/0 * * * *', "has '*/0' as its minute"),
        ('5/10 * * * *', "has '5/10' as its minute"),
        ('1, * * * *', "has '' as its minute"),
        ('-1 * * * *', "has '-1' as its minute"),
        ('* * L * *', "has 'l' as its day"),
        ('* * ? * *', "has '?' as its day"),
        ('\u0661 * * * *', "has '\\u0661' as its minute"),
        ('0 0 30 2 *', "is '0 0 30 2 *', which never comes"),
        ('0 0 31 4,6,9,11 *', 'which never comes'),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str, reason: str) -> None:
    """With what is allowed; a date that never comes is none."""
    with pytest.raises(CronRefused) as caught:
        parse_cron(schedule)
    assert reason in str(caught.value)


@given(schedule=st.text(max_size=30) | st.text('0123456789*/,- ', max_size=30))
def test_whatever_comes_is_read_or_refused(schedule: str) -> None:
    """Nothing else is raised."""
    try:
        times = parse_cron(schedule)
    except CronRefused:
        return
    assert times.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is not None
