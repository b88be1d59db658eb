# SPDX-License-Identifier: Apache-2.0
"""The conditions without parts, as they are evaluated.

What was read last stands until something else is read. A value counts from when an evaluation is
told of it; messages are counted, and rates made, by when they were received.
"""

from collections import deque
import math

from gateway_node.conditions.evaluated_parts import EvaluatedLeaf
from gateway_node.conditions.levels import (
    FieldRate,
    MessageRate,
    Present,
    RATE_SPAN_SEC,
    Silence,
    ValueHolds,
)
from gateway_node.conditions.sources import Reading
from gateway_node.conditions.value_tests import Above, Equals, number_fault, ValueTest
from gateway_node.conditions.values import (
    Changes,
    Condition,
    Interval,
)
from gateway_node.masking import MASK
from gateway_node.strict_json import same


class EvaluatedValue(EvaluatedLeaf):
    """The value that was read last is as a test wants it."""

    def __init__(self, condition: ValueHolds | Present, test: ValueTest, now: float) -> None:
        super().__init__(condition, now)
        self._test = test
        self._holds = False
        self._truth_read: bool | None = None

    def take(self, reading: Reading, now: float) -> bool:
        """Judge the value; what held before it could not be judged counts for hysteresis."""
        before = self._truth_read
        self._fault = reading.fault
        if not reading.fault:
            value = reading.value
            self._value, self._at = value, reading.at
            self._fault = self._test.fault(value)
            if self._fault and self._is_secret:
                self._fault = f'is {MASK}, and cannot be judged'
            if not self._fault:
                self._holds = self._test.holds(value, self._holds)
        self._truth_read = None if self._fault else self._holds
        return self._truth_read is not before

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        return self._truth_read, None


class EvaluatedSlope(EvaluatedLeaf):
    """How fast a value changes."""

    def __init__(self, condition: FieldRate, now: float) -> None:
        super().__init__(condition, now)
        self._test = condition.test
        self._read: deque[tuple[float, float]] = deque()
        self._holds = False

    def take(self, reading: Reading, now: float) -> bool:
        """Compare a value with one that is RATE_SPAN_SEC older, at least."""
        self._fault = reading.fault or number_fault(reading.value)
        if not self._fault and not math.isfinite(reading.value):
            self._fault = 'is infinite, and has no rate'
        if self._fault:
            self._read.clear()
            return True
        read = self._read
        read.append((reading.at, reading.value))
        while len(read) > 1 and read[1][0] + RATE_SPAN_SEC <= reading.at:
            read.popleft()
        at, value = read[0]
        if at + RATE_SPAN_SEC > reading.at:
            self._fault = f'no value was read yet that is {RATE_SPAN_SEC:g} s older'
            return True
        rate = (reading.value - value) / (reading.at - at)
        self._value, self._at = rate, reading.at
        if not math.isfinite(rate):
            self._fault = 'changes faster than a number can say'
            return True
        self._holds = self._test.holds(rate, self._holds)
        return True

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        return None if self._fault else self._holds, None


class EvaluatedCount(EvaluatedLeaf):
    """How many messages come a second, counted over a window that ends now."""

    def __init__(self, condition: MessageRate, now: float) -> None:
        super().__init__(condition, now)
        self._test = condition.test
        self._window = condition.window_sec
        self._from = now
        self._came: deque[tuple[float, int]] = deque()
        self._number = 0
        self._enough = _enough(condition)
        self._rate = 0.0
        self._holds = False
        self._fault = ''

    def take(self, reading: Reading, now: float) -> bool:
        """Count messages; none is missed where nobody publishes."""
        if reading.fault and not reading.unpublished:
            self._fault = reading.fault
            self._forget()
            return True
        if self._fault:
            self._fault, self._from = '', now
        if not reading.fault and reading.messages:
            self._came.append((min(reading.at, now), reading.messages))
            self._number += reading.messages
            self._at = reading.at
        # More than enough of them change nothing.
        while self._came and self._number - self._came[0][1] >= self._enough:
            self._drop()
        return True

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        while self._came and self._came[0][0] + self._window <= now:
            self._drop()
        if self._fault:
            return None, None
        if (full := self._from + self._window) > now:
            return None, full
        self._rate = self._number / self._window
        self._holds = self._test.holds(self._rate, self._holds)
        return self._holds, self._came[0][0] + self._window if self._came else None

    def _present_value(self) -> float:
        return round(self._rate, 3)

    def _why(self, now: float) -> str:
        if not self._fault and (counted := now - self._from) < self._window:
            return f'counted for {counted:.3g} of {self._window:.3g} s'
        return super()._why(now)

    def _forget(self) -> None:
        self._came.clear()
        self._number = 0

    def _drop(self) -> None:
        self._number -= self._came.popleft()[1]


def _enough(condition: MessageRate) -> int:
    """Return how many messages in the window are as good as any more of them."""
    test = condition.test
    most = test.limit if isinstance(test, Above) else test.limit + test.hysteresis
    return math.floor(most * condition.window_sec) + 2


class EvaluatedSilence(EvaluatedLeaf):
    """No message came for some time."""

    def __init__(self, condition: Silence, now: float) -> None:
        super().__init__(condition, now)
        self._silent_sec = condition.silent_sec
        self._from = now
        self._heard = False
        """Whether a message came since then, or was the beginning of it."""
        self._fault = ''

    def take(self, reading: Reading, now: float) -> bool:
        """Begin anew with each message, and where some may have been missed."""
        if reading.fault and not reading.unpublished:
            self._fault = reading.fault
        elif not reading.fault and reading.messages:
            # It may be one that came before anybody looked, and that is told once more.
            self._fault, self._from, self._heard = '', min(reading.at, now), True
            self._at = reading.at
        elif self._fault:
            self._fault, self._from, self._heard = '', now, False
        return True

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        if self._fault:
            return None, None
        if (due := self._from + self._silent_sec) > now:
            return False if self._heard else None, due
        return True, None

    def _why(self, now: float) -> str:
        silent = f'silent for {now - self._from:.3g} of {self._silent_sec:.3g} s'
        return self._fault or super()._why(now) or silent


class EvaluatedMoment(EvaluatedLeaf):
    """What comes and is over; false at all other times."""

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        return False, None


class EvaluatedChange(EvaluatedMoment):
    """A value is another one than before, whatever could not be read in between."""

    def take(self, reading: Reading, now: float) -> bool:
        """Compare it with the value before; the first one is no change."""
        self._fault = reading.fault
        if not reading.fault:
            known = self._at is not None
            self.comes = self.comes or (known and not same(reading.value, self._value))
            self._value, self._at = reading.value, reading.at
        return self.comes


class EvaluatedInterval(EvaluatedMoment):
    """Every so many seconds."""

    def __init__(self, condition: Interval, now: float) -> None:
        super().__init__(condition, now)
        self._interval_sec = condition.interval_sec
        self._begin = now
        self._number = 1

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        if now >= self._begin + self._number * self._interval_sec:
            self.happen({}, now)
            self._number += 1
        return False, self._begin + self._number * self._interval_sec


def leaf_of(condition: Condition, now: float) -> EvaluatedLeaf:
    """Return a condition without parts, as it is evaluated from `now` on."""
    match condition:
        case ValueHolds():
            return EvaluatedValue(condition, condition.test, now)
        case Present():
            return EvaluatedValue(condition, Equals(value=condition.present), now)
        case FieldRate():
            return EvaluatedSlope(condition, now)
        case MessageRate():
            return EvaluatedCount(condition, now)
        case Silence():
            return EvaluatedSilence(condition, now)
        case Changes():
            return EvaluatedChange(condition, now)
        case Interval():
            return EvaluatedInterval(condition, now)
    return EvaluatedMoment(condition, now)
