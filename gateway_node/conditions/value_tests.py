# SPDX-License-Identifier: Apache-2.0
"""What is asked of one value that was read.

Numbers are JSON's: a boolean is none, and 1 is 1.0.
"""

from dataclasses import dataclass
from typing import Any

from gateway_node.conditions.condition_words import LEVELS
from gateway_node.strict_json import same, shown

Number = int | float


def number_fault(value: object) -> str:
    """Return why a value cannot be compared with a number, or an empty text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f'is {shown(value)}: allowed: a number'
    return 'is NaN, which is no number' if value != value else ''


def number_text(number: Number) -> str:
    """Return a number as a person writes it: `60`, not `60.0`."""
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 2**53
    return str(int(number)) if whole else str(number)


@dataclass(frozen=True, kw_only=True)
class Equals:
    """The value is this one; what is NaN equals nothing that JSON can say."""

    value: Any

    @property
    def text(self) -> str:
        """For a person."""
        return f'is {shown(self.value)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return ''

    def holds(self, value: Any, held: bool) -> bool:
        """Tell whether it is so; `held`: whether it was, for hysteresis."""
        return same(value, self.value)


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """The value is one of these words."""

    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """For a person."""
        return f'is {" or ".join(self.words)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return ''

    def holds(self, value: Any, held: bool) -> bool:
        """Tell whether it is so."""
        return value in self.words


@dataclass(frozen=True, kw_only=True)
class AtLevel:
    """The worst status is at a level, or worse; where there is none, it is not."""

    level: str
    """One of LEVELS."""

    @property
    def text(self) -> str:
        """For a person."""
        return f'at {self.level} or worse'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return ''

    def holds(self, value: Any, held: bool) -> bool:
        """Tell whether it is so: the value is `{name, level, message}`, or None."""
        return value is not None and value['level'] >= LEVELS[self.level]


@dataclass(frozen=True, kw_only=True)
class Above:
    """The number is greater than a limit; once it is, until it is at the limit less hysteresis."""

    limit: Number
    hysteresis: Number = 0

    @property
    def text(self) -> str:
        """For a person."""
        return f'above {number_text(self.limit)}{_hysteresis_text(self.hysteresis)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return number_fault(value)

    def holds(self, value: Number, held: bool) -> bool:
        """Tell whether it is so; `held`: whether it was."""
        return value > (self.limit - self.hysteresis if held else self.limit)


@dataclass(frozen=True, kw_only=True)
class Below:
    """The number is less than a limit; once it is, until it is at the limit plus hysteresis."""

    limit: Number
    hysteresis: Number = 0

    @property
    def text(self) -> str:
        """For a person."""
        return f'below {number_text(self.limit)}{_hysteresis_text(self.hysteresis)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return number_fault(value)

    def holds(self, value: Number, held: bool) -> bool:
        """Tell whether it is so; `held`: whether it was."""
        return value < (self.limit + self.hysteresis if held else self.limit)


@dataclass(frozen=True, kw_only=True)
class Within:
    """The number is in a range, its ends included; once it is, until it is out by more than the
    hysteresis."""

    low: Number
    high: Number
    hysteresis: Number = 0

    @property
    def text(self) -> str:
        """For a person."""
        return f'within {_range_text(self.low, self.high)}{_hysteresis_text(self.hysteresis)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return number_fault(value)

    def holds(self, value: Number, held: bool) -> bool:
        """Tell whether it is so; `held`: whether it was."""
        margin = self.hysteresis if held else 0
        return self.low - margin <= value <= self.high + margin


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The number is not in a range; once it is not, until it is in by the hysteresis."""

    low: Number
    high: Number
    hysteresis: Number = 0

    @property
    def text(self) -> str:
        """For a person."""
        return f'outside {_range_text(self.low, self.high)}{_hysteresis_text(self.hysteresis)}'

    def fault(self, value: object) -> str:
        """Return why the value cannot be judged."""
        return number_fault(value)

    def holds(self, value: Number, held: bool) -> bool:
        """Tell whether it is so; `held`: whether it was."""
        margin = self.hysteresis if held else 0
        return not self.low + margin <= value <= self.high - margin


NumberTest = Above | Below | Within | Outside
ValueTest = Equals | OneOf | AtLevel | NumberTest
RateTest = Above | Below


def _hysteresis_text(hysteresis: Number) -> str:
    return f' (hysteresis {number_text(hysteresis)})' if hysteresis else ''


def _range_text(low: Number, high: Number) -> str:
    return f'{number_text(low)} to {number_text(high)}'
