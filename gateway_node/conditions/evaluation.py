# SPDX-License-Identifier: Apache-2.0
"""Whether a condition is true, over time: fed with what is read and what happens, told the time.

Pure: no clock of its own, and nothing depends on how often it is called, as long as it is called
by `due`; who calls late is answered as if they had not.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway_node.conditions.evaluated_leaves import leaf_of
from gateway_node.conditions.evaluated_parts import EvaluatedPart, several_of
from gateway_node.conditions.sources import Reading, RobotSource
from gateway_node.conditions.values import AllOf, AnyOf, Condition, Not, OutsideMoment


class Evaluation:
    """One condition, looked at from `now` on.

    Truth is True, False or None: it is not known, as nothing was read yet, or what was read cannot
    be judged. The condition fires when it becomes true after it was false, whatever was not known
    in between; and when a moment in it comes while the rest is true.
    """

    def __init__(self, condition: Condition, now: float, last: bool | None = None) -> None:
        """`last`: what was known last, before this evaluation began; None: nothing."""
        self.condition = condition
        self.sources = condition.sources
        """What is to be read of the robot, and given to `take`."""
        self.moments = condition.moments
        """What is to be told by `happened`."""
        self._now = now
        self._known = last
        self._root = _part_of(condition, now)
        leaves = [*self._root.leaves()]
        self._readers = {
            source: [leaf for leaf in leaves if source in leaf.condition.sources]
            for source in self.sources
        }
        self._momentary = [leaf for leaf in leaves if leaf.condition.is_moment]
        self._fired: list[dict[str, Any]] = []
        self._settle(now)

    @property
    def truth(self) -> bool | None:
        """Whether it is true; of a moment False, but in its instant."""
        return self._root.truth

    @property
    def known(self) -> bool | None:
        """What was known of it last: for the next evaluation, should this one end."""
        return self._known

    @property
    def due(self) -> float | None:
        """When `tick` is to be called next, by the monotonic clock; None: for nothing."""
        return self._root.due

    def take(self, readings: Mapping[RobotSource, Reading], now: float) -> bool:
        """Take what was read at one time, as fields of one message; tell whether it fires."""
        fires = self._advance(now)
        changed = False
        for source, reading in readings.items():
            for leaf in self._readers.get(source, ()):
                changed = leaf.take(reading, self._now) or changed
        # Most of what is read changes nothing: the tree stands as it was refreshed last.
        return (changed and self._settle(self._now)) or fires

    def happened(self, moment: OutsideMoment, now: float, told: Mapping[str, Any]) -> bool:
        """Take that a moment came, with what is known of it; tell whether it fires."""
        fires = self._advance(now)
        for leaf in self._momentary:
            if leaf.condition == moment:
                leaf.happen(told, self._now)
        return self._settle(self._now) or fires

    def tick(self, now: float) -> bool:
        """Take that time went on; tell whether it fires."""
        return self._advance(now)

    def shown(self, now: float, when: Callable[[float], object]) -> dict[str, Any]:
        """Return each part with its truth, since when that is so, its value and how old that is,
        and why it is not true; `when` makes of a monotonic time what is shown."""
        return self._root.shown(max(now, self._now), when)

    def values(self) -> list[dict[str, Any]]:
        """Return what was read when it fired last: of each part its truth and value."""
        return self._fired

    def _advance(self, now: float) -> bool:
        """Go through what became due until `now`, each at its time."""
        fires = False
        while (due := self._root.due) is not None and due <= now:
            self._now = due
            fires = self._settle(due) or fires
        self._now = max(now, self._now)
        return fires

    def _settle(self, now: float) -> bool:
        self._root.refresh(now)
        truth = self._root.truth
        fires = self._root.comes or (truth is True and self._known is False)
        if truth is not None:
            self._known = truth
        if fires:
            self._fired = [leaf.told() for leaf in self._root.leaves()]
        for leaf in self._momentary:
            leaf.comes = False
        return fires


def _part_of(condition: Condition, now: float) -> EvaluatedPart:
    if isinstance(condition, Not):
        return several_of(condition, [_part_of(condition.part, now)], now)
    if isinstance(condition, (AllOf, AnyOf)):
        return several_of(condition, [_part_of(part, now) for part in condition.parts], now)
    return leaf_of(condition, now)
