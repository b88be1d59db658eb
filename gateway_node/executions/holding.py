# SPDX-License-Identifier: Apache-2.0
"""What must stay true of the robot as long as one script runs."""

from collections.abc import Callable, Sequence

from gateway_node.executions.preconditions import Looked, PreconditionCheck, Required, Standing


class Holding:
    """Watches the preconditions of an execution that hold; the first that is lost ends it."""

    def __init__(self, check: PreconditionCheck, on_lost: Callable[[], None]) -> None:
        """`on_lost` is called once."""
        self._check = check
        self._on_lost = on_lost
        self._ends: list[Callable[[], None]] = []
        self.lost: Looked | None = None
        """The one that does not hold any more; None as long as all do."""

    def begin(self, required: Sequence[Required]) -> None:
        """Watch, until `end`."""
        for each in required:
            if each.precondition.hold:
                self._ends.append(self._check.hold(each.precondition, self._losing(each)))

    def end(self) -> None:
        """Watch no more."""
        for end in self._ends:
            end()
        self._ends.clear()

    def _losing(self, required: Required) -> Callable[[Standing], None]:
        def lose(standing: Standing) -> None:
            if self.lost is None:
                self.lost = Looked(required=required, standing=standing)
                self._on_lost()

        return lose
