# SPDX-License-Identifier: Apache-2.0
"""The parts of time by which ends are counted: hours, days, months and years, all by UTC."""

import datetime
import enum
from typing import NamedTuple

HOUR_SEC = 3600
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class Level(enum.IntEnum):
    """How long a period is; each lies within one of the level above."""

    YEAR = 0
    """From the first of January."""
    MONTH = 1
    """From its first day."""
    DAY = 2
    """From midnight."""
    HOUR = 3
    """From the full hour."""


class Period(NamedTuple):
    """One of them, in seconds since 1970."""

    level: Level
    begins: int
    ends: int
    """The first second that is not within."""


def periods_of(second: int) -> tuple[Period, ...]:
    """Return the periods in which a second lies, the longest first."""
    moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
    year, month = moment.year, moment.month
    day = second - second % (24 * HOUR_SEC)
    hour = second - second % HOUR_SEC
    return (
        Period(Level.YEAR, _first_of(year, 1), _first_of(year + 1, 1)),
        Period(Level.MONTH, _first_of(year, month), _first_of(year, month + 1)),
        Period(Level.DAY, day, day + 24 * HOUR_SEC),
        Period(Level.HOUR, hour, hour + HOUR_SEC),
    )


def _first_of(year: int, month: int) -> int:
    """Return the second at which a month begins; month 13 is the next year's first."""
    year, month = (year + 1, 1) if month > 12 else (year, month)
    if year > datetime.MAXYEAR:
        return (datetime.date.max.toordinal() + 1 - _EPOCH) * 24 * HOUR_SEC
    return (datetime.date(year, month, 1).toordinal() - _EPOCH) * 24 * HOUR_SEC
