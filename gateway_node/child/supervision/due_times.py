# SPDX-License-Identifier: Apache-2.0
"""The table of what a supervisor has to do when."""

from collections.abc import Callable
import math

Step = Callable[[], None]


class DueTimes:
    """Steps and the moments in which they are due, by the monotonic clock.

    A step stands here once at most and is taken once; who wants it again puts it in again.
    """

    def __init__(self) -> None:
        self._moments: dict[Step, float] = {}

    @property
    def next_moment(self) -> float:
        """The moment in which something is due; infinite where nothing is."""
        return min(self._moments.values(), default=math.inf)

    def put(self, step: Step, moment: float) -> None:
        """Have a step taken in this moment, and not when it was due before."""
        self._moments[step] = moment

    def bring_forward(self, step: Step, moment: float) -> None:
        """Have a step taken in this moment, unless it is due earlier."""
        self._moments[step] = min(moment, self._moments.get(step, math.inf))

    def drop(self, step: Step) -> None:
        """Do not take the step."""
        self._moments.pop(step, None)

    def keep(self, now: float) -> None:
        """Take the steps that are due, in their order; what they put in meanwhile waits."""
        due = [step for step, moment in self._moments.items() if moment <= now]
        for step in sorted(due, key=self._moments.__getitem__):
            # One that was taken before it may have dropped it.
            if self._moments.pop(step, None) is not None:
                step()
