# SPDX-License-Identifier: Apache-2.0
"""The parts of a condition as they are evaluated: a tree that is refreshed from its leaves.

What is true is three-valued, as Kleene has it: `all` is false where one part is, and not known
where one is not known; `any` the other way round. `for` asks for all of the time that it names.
"""

from collections.abc import Callable, Iterator, Mapping
import math
from typing import Any

from gateway_node.conditions.shown_values import shown_value
from gateway_node.conditions.sources import ParameterValue, Reading, RobotSource
from gateway_node.conditions.value_tests import number_text
from gateway_node.conditions.values import AllOf, AnyOf, Condition, Not
from gateway_node.masking import looks_secret, MASK

NO_VALUE = 'nothing was read yet'


class EvaluatedPart:
    """One condition, and those in it."""

    def __init__(self, condition: Condition, now: float) -> None:
        self.condition = condition
        self.truth: bool | None = None
        self.comes = False
        """Whether it is a moment that comes now, or one does in it and the rest is true."""
        self.due: float | None = None
        self._since = now
        self._for_sec = getattr(condition, 'for_sec', 0.0)
        self._judged: bool | None = None
        self._false_until = -math.inf
        self._unknown_until = now

    def leaves(self) -> 'Iterator[EvaluatedLeaf]':
        """Go through the parts that have no parts."""
        raise NotImplementedError

    def refresh(self, now: float) -> None:
        """Set truth, `comes` and `due` as they are now."""
        judged, due = self._judge(now)
        if self._for_sec:
            truth, due = self._held(judged, due, now)
        else:
            truth = judged
        self.due = due
        if truth is not self.truth:
            self.truth = truth
            self._since = now

    def shown(self, now: float, when: Callable[[float], object]) -> dict[str, Any]:
        """Return it as JSON."""
        shown = {
            'condition': self.condition.text,
            'truth': self.truth,
            'since': when(self._since),
        }
        if (why := self._why(now)) and self.truth is not True:
            shown['why'] = why
        return shown

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        """Return whether it is true, `for` aside, and when that has to be looked at again."""
        raise NotImplementedError

    def _why(self, now: float) -> str:
        if self._for_sec and self._judged is True:
            held = now - max(self._false_until, self._unknown_until)
            return f'held {held:.3g} of {number_text(self._for_sec)} s'
        return ''

    def _held(
        self, judged: bool | None, due: float | None, now: float
    ) -> tuple[bool | None, float | None]:
        """Return the truth over the time that it has to hold: false where it was false at some
        moment of it, else not known where it was not known at some."""
        if self._judged is False:
            self._false_until = now
        elif self._judged is None:
            self._unknown_until = now
        self._judged = judged
        if judged is False:
            return False, due
        if (until := self._false_until + self._for_sec) > now:
            return False, _earlier(due, until)
        if judged is None:
            return None, due
        if (until := self._unknown_until + self._for_sec) > now:
            return None, _earlier(due, until)
        return True, due


class EvaluatedLeaf(EvaluatedPart):
    """A condition without parts: it is told what is read, or what happens."""

    def __init__(self, condition: Condition, now: float) -> None:
        super().__init__(condition, now)
        self._value: Any = None
        self._at: float | None = None
        self._fault = NO_VALUE if condition.sources else ''
        self._is_secret = any(map(_is_secret, condition.sources))

    def leaves(self) -> 'Iterator[EvaluatedLeaf]':
        """Itself."""
        yield self

    def take(self, reading: Reading, now: float) -> bool:
        """Take what was read of the source; return whether it may be judged otherwise by that."""
        return False

    def happen(self, told: Mapping[str, Any], now: float) -> None:
        """Take that the moment came."""
        self.comes = True
        self._value, self._at = dict(told), now

    def shown(self, now: float, when: Callable[[float], object]) -> dict[str, Any]:
        """As every part, with what was read last."""
        shown = super().shown(now, when)
        if self._at is not None:
            shown['value'] = self._shown_value()
            shown['at'] = when(self._at)
        return shown

    def told(self) -> dict[str, Any]:
        """Return what made it fire, for who reads that later."""
        truth = True if self.comes else self.truth
        told = {'condition': self.condition.text, 'truth': truth}
        if self._at is not None:
            told['value'] = self._shown_value()
        return told

    def _present_value(self) -> Any:
        """Return what is shown as the value."""
        return self._value

    def _shown_value(self) -> Any:
        return MASK if self._is_secret else shown_value(self._present_value())

    def _why(self, now: float) -> str:
        return self._fault or super()._why(now)


class EvaluatedSeveral(EvaluatedPart):
    """A condition with parts."""

    def __init__(self, condition: Condition, parts: list[EvaluatedPart], now: float) -> None:
        super().__init__(condition, now)
        self._parts = parts

    def leaves(self) -> Iterator[EvaluatedLeaf]:
        """Those of all parts."""
        for part in self._parts:
            yield from part.leaves()

    def shown(self, now: float, when: Callable[[float], object]) -> dict[str, Any]:
        """As every part, with its own."""
        parts = [part.shown(now, when) for part in self._parts]
        return {**super().shown(now, when), 'parts': parts}

    def _judge(self, now: float) -> tuple[bool | None, float | None]:
        due: float | None = None
        for part in self._parts:
            part.refresh(now)
            due = _earlier(due, part.due)
        return self._together(), due

    def _together(self) -> bool | None:
        """Return what the truths of the parts make, and set `comes`."""
        raise NotImplementedError


class EvaluatedAll(EvaluatedSeveral):
    """`all`."""

    def _together(self) -> bool | None:
        truths = [part.truth for part in self._parts]
        self.comes = any(part.comes for part in self._parts) and all(
            part.comes or part.truth is True for part in self._parts
        )
        return False if False in truths else None if None in truths else True


class EvaluatedAny(EvaluatedSeveral):
    """`any`."""

    def _together(self) -> bool | None:
        truths = [part.truth for part in self._parts]
        self.comes = any(part.comes for part in self._parts)
        return True if True in truths else None if None in truths else False


class EvaluatedNot(EvaluatedSeveral):
    """`not`."""

    def _together(self) -> bool | None:
        (part,) = self._parts
        return None if part.truth is None else not part.truth


def several_of(
    condition: AllOf | AnyOf | Not, parts: list[EvaluatedPart], now: float
) -> EvaluatedSeveral:
    """Return a condition with its parts, as it is evaluated."""
    if isinstance(condition, AllOf):
        return EvaluatedAll(condition, parts, now)
    kind = EvaluatedAny if isinstance(condition, AnyOf) else EvaluatedNot
    return kind(condition, parts, now)


def _is_secret(source: RobotSource) -> bool:
    """Tell whether what is read looks like a secret, which is shown nowhere."""
    return isinstance(source, ParameterValue) and looks_secret(source.name, '')


def _earlier(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
