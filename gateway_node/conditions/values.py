# SPDX-License-Identifier: Apache-2.0
"""Conditions as values: what was asked for, once it was read and found to be right.

A level is true for some time; a moment is true only in the instant in which it comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway_node.conditions.condition_bases import FromOutside, LevelBase, MomentBase
from gateway_node.conditions.condition_words import FINAL_STATUSES, Missed
from gateway_node.conditions.cron import CronTimes
from gateway_node.conditions.levels import (
    FieldRate,
    MessageRate,
    Present,
    Silence,
    ValueHolds,
)
from gateway_node.conditions.sources import RobotSource
from gateway_node.conditions.value_tests import number_text
from gateway_node.strict_json import clip

MAX_TEXT_LENGTH = 500


@dataclass(frozen=True, kw_only=True)
class Changes(MomentBase):
    """A value is another one than the one that was read before."""

    source: RobotSource

    @property
    def said(self) -> str:
        """As `/mode data changes`."""
        return f'{self.source.text} changes'

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """The one."""
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class Interval(MomentBase):
    """Every so many seconds, of the monotonic clock, from when it is first looked at."""

    interval_sec: float

    @property
    def said(self) -> str:
        """As `every 60 s`."""
        return f'every {number_text(self.interval_sec)} s'


@dataclass(frozen=True, kw_only=True)
class Cron(FromOutside):
    """A time of the clock on the wall."""

    schedule: str
    """Five fields: minute, hour, day, month, weekday."""
    times: CronTimes
    missed: Missed = Missed.SKIP

    @property
    def said(self) -> str:
        """As `cron 0 3 * * 1-5`."""
        return f'cron {self.schedule}'

    def next_after(self, moment: datetime) -> datetime | None:
        """Return, in UTC, the next time after a moment by the clock of its zone; None: never."""
        return self.times.next_after(moment)


@dataclass(frozen=True, kw_only=True)
class ScriptEnd(FromOutside):
    """The end of an execution of another script."""

    script: str
    """Its name or its id."""
    entity: str | None = None
    """`apps/x`; None: whosever it is."""
    statuses: tuple[str, ...] = FINAL_STATUSES
    verdicts: tuple[str, ...] | None = None
    """None: any, none included."""

    @property
    def said(self) -> str:
        """As `end of check on apps/x (failed)`."""
        place = f' on {self.entity}' if self.entity else ''
        how = [] if self.statuses == FINAL_STATUSES else [*self.statuses]
        how += self.verdicts or ()
        return f'end of {self.script}{place}' + (f' ({", ".join(how)})' if how else '')

    def fits(
        self, *, script_id: str, script_name: str, entity: str, status: str, verdict: str | None
    ) -> bool:
        """Tell whether an execution that ended so is meant."""
        return (
            self.script in (script_id, script_name)
            and self.entity in (None, entity)
            and status in self.statuses
            and (self.verdicts is None or verdict in self.verdicts)
        )


@dataclass(frozen=True, kw_only=True)
class GatewayStarted(FromOutside):
    """The start of the gateway."""

    @property
    def said(self) -> str:
        """As it is."""
        return 'start of the gateway'


OutsideMoment = FromOutside
"""What an evaluation cannot see for itself: Cron, ScriptEnd, GatewayStarted."""


@dataclass(frozen=True, kw_only=True)
class _Several(LevelBase):
    parts: tuple['Condition', ...]

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """Those of all parts, each once."""
        return tuple(dict.fromkeys(each for part in self.parts for each in part.sources))

    @property
    def moments(self) -> tuple[OutsideMoment, ...]:
        """Those of all parts, each once."""
        found: list[OutsideMoment] = []
        for part in self.parts:
            found += (each for each in part.moments if each not in found)
        return tuple(found)

    @property
    def _judged_in_sec(self) -> float:
        return max(part.settles_sec for part in self.parts)

    def _joined(self, word: str) -> str:
        joined = f' {word} '.join(part.text for part in self.parts)
        return clip(f'({joined})', MAX_TEXT_LENGTH)


@dataclass(frozen=True, kw_only=True)
class AllOf(_Several):
    """Each part is true; where one is a moment, in the instant in which that comes."""

    @property
    def said(self) -> str:
        """As `(A and B)`."""
        return self._joined('and')

    @property
    def is_moment(self) -> bool:
        """It is as soon as one part is."""
        return any(part.is_moment for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class AnyOf(_Several):
    """One part is true, at least; a moment counts in the instant in which it comes."""

    @property
    def said(self) -> str:
        """As `(A or B)`."""
        return self._joined('or')

    @property
    def is_moment(self) -> bool:
        """It is where all parts are."""
        return all(part.is_moment for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Not(LevelBase):
    """What is not true."""

    part: 'Condition'

    @property
    def said(self) -> str:
        """As `not (A)`."""
        return clip(f'not ({self.part.text})', MAX_TEXT_LENGTH)

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """Those of the part."""
        return self.part.sources

    @property
    def _judged_in_sec(self) -> float:
        return self.part.settles_sec


Level = ValueHolds | Present | FieldRate | MessageRate | Silence
Moment = Changes | Interval | OutsideMoment
Condition = Level | Moment | AllOf | AnyOf | Not


@dataclass(frozen=True, kw_only=True)
class Precondition:
    """What must be true of the robot for a script to be started."""

    condition: Condition
    hold: bool = False
    """Whether it must stay true as long as the script runs."""
    description: str = ''
    """For who is told that it is not so."""
    max_age_sec: float = 2.0
    """How old the values may be by which it is judged."""
    document: Mapping[str, Any] = field(repr=False)
    """The JSON as it was given."""
