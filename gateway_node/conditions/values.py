# SPDX-License-Identifier: Apache-2.0
"""Conditions as values: what was asked for, once it was read and found to be right.

A level is true for some time; a moment is true only in the instant in which it comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
import enum
from typing import Any

from gateway_node.conditions.cron import CronTimes
from gateway_node.conditions.sources import RobotSource
from gateway_node.conditions.value_tests import number_text, RateTest, ValueTest
from gateway_node.strict_json import clip

FINAL_STATUSES = ('completed', 'failed', 'terminated')
"""How an execution ends, as `executions` calls it."""
VERDICTS = ('PASS', 'WARN', 'FAIL', 'SKIP')
"""What a script found, as `scripts` calls it."""

RATE_SPAN_SEC = 1.0
"""How far apart the two values are at least of which a rate is made, and how long messages are
counted at least."""
COUNTED_MESSAGES = 3.0
"""How many messages, at the rate that is the limit, the time holds in which they are counted."""

MAX_TEXT_LENGTH = 500


class Missed(enum.Enum):
    """What becomes of times of a clock that came while nobody looked at it."""

    SKIP = 'skip'
    """Nothing."""
    ONCE = 'once'
    """They are made up for, once for all of them."""


@dataclass(frozen=True, kw_only=True)
class _Condition:
    document: Mapping[str, Any] = field(repr=False)
    """The JSON as it was given."""

    @property
    def said(self) -> str:
        """The condition in a line, without how long it has to hold."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The condition in a line, for a person: `/battery voltage below 10 for 5 s`."""
        return self.said

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """What of the robot it looks at."""
        return ()

    @property
    def moments(self) -> tuple['OutsideMoment', ...]:
        """Which moments it has to be told of."""
        return ()

    @property
    def settles_sec(self) -> float:
        """How long one has to look before it can be known whether it is true."""
        return 0.0

    @property
    def is_moment(self) -> bool:
        """Whether it can be true in an instant only."""
        return False

    @property
    def has_moment(self) -> bool:
        """Whether there is a moment in it."""
        return self.is_moment


@dataclass(frozen=True, kw_only=True)
class _Level(_Condition):
    for_sec: float = 0.0
    """How long it has to hold before it is true."""

    @property
    def text(self) -> str:
        """As it says, and for how long."""
        held = f' for {number_text(self.for_sec)} s' if self.for_sec else ''
        return f'{self.said}{held}'

    @property
    def settles_sec(self) -> float:
        """What it takes to judge it once, and then as long as it has to hold."""
        return self._judged_in_sec + self.for_sec

    @property
    def _judged_in_sec(self) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class _OfRobot(_Level):
    source: RobotSource

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """The one."""
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class ValueHolds(_OfRobot):
    """The value that was read last is as the test wants it."""

    test: ValueTest

    @property
    def said(self) -> str:
        """As `/battery voltage below 10`."""
        return f'{self.source.text} {self.test.text}'


@dataclass(frozen=True, kw_only=True)
class Present(_OfRobot):
    """Something is in the graph, or is not."""

    present: bool

    @property
    def said(self) -> str:
        """As `node /lidar is there`."""
        return f'{self.source.text} is {"" if self.present else "not "}there'


@dataclass(frozen=True, kw_only=True)
class FieldRate(_OfRobot):
    """How fast a value changes, in its unit per second: the newest value less the newest that is
    at least RATE_SPAN_SEC older, by the time between them."""

    test: RateTest

    @property
    def said(self) -> str:
        """As `/battery voltage: rate above 2 a second`."""
        return f'{self.source.text}: rate {self.test.text} a second'

    @property
    def _judged_in_sec(self) -> float:
        return RATE_SPAN_SEC


@dataclass(frozen=True, kw_only=True)
class MessageRate(_OfRobot):
    """How many messages a topic brings a second, counted over `window_sec`."""

    test: RateTest

    @property
    def said(self) -> str:
        """As `/scan: messages below 5 a second`."""
        return f'{self.source.text}: messages {self.test.text} a second'

    @property
    def window_sec(self) -> float:
        """A second, and longer where the limit is slow."""
        return max(RATE_SPAN_SEC, COUNTED_MESSAGES / self.test.limit)

    @property
    def _judged_in_sec(self) -> float:
        return self.window_sec


@dataclass(frozen=True, kw_only=True)
class Silence(_OfRobot):
    """No message came for so long, whether somebody publishes or not."""

    silent_sec: float

    @property
    def said(self) -> str:
        """As `/scan silent for 5 s`."""
        return f'{self.source.text} silent for {number_text(self.silent_sec)} s'

    @property
    def _judged_in_sec(self) -> float:
        return self.silent_sec


@dataclass(frozen=True, kw_only=True)
class _Moment(_Condition):
    @property
    def is_moment(self) -> bool:
        """It is."""
        return True


@dataclass(frozen=True, kw_only=True)
class Changes(_Moment):
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
class Interval(_Moment):
    """Every so many seconds, of the monotonic clock, from when it is first looked at."""

    interval_sec: float

    @property
    def said(self) -> str:
        """As `every 60 s`."""
        return f'every {number_text(self.interval_sec)} s'


@dataclass(frozen=True, kw_only=True)
class _Outside(_Moment):
    @property
    def moments(self) -> tuple['OutsideMoment', ...]:
        """It has to be told of itself."""
        return (self,)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Cron(_Outside):
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
class ScriptEnd(_Outside):
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
class GatewayStarted(_Outside):
    """The start of the gateway."""

    @property
    def said(self) -> str:
        """As it is."""
        return 'start of the gateway'


OutsideMoment = Cron | ScriptEnd | GatewayStarted
"""What an evaluation cannot see for itself."""


@dataclass(frozen=True, kw_only=True)
class _Several(_Level):
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

    @property
    def has_moment(self) -> bool:
        """Whether there is a moment in one of them."""
        return any(part.has_moment for part in self.parts)

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
class Not(_Level):
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
