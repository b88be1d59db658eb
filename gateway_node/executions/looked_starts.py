# SPDX-License-Identifier: Apache-2.0
"""Which starts the robot was looked at for, where their script or their instance wants that."""

from collections.abc import Callable, Iterable, Sequence

from gateway_node.executions.candidates import Candidate
from gateway_node.executions.preconditions import (
    Looked,
    PreconditionCheck,
    PreconditionsUnmet,
    Required,
    required_of,
)
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.scripts.values import Script


class LookedStarts:
    """Looks, and looks again where that is too long ago; a start without preconditions costs it
    nothing."""

    def __init__(self, check: PreconditionCheck, monotonic: Callable[[], float]) -> None:
        self._check = check
        self._monotonic = monotonic

    def required(self, candidate: Candidate, script: Script) -> tuple[Required, ...]:
        """Return the preconditions of a start."""
        of_script = required_of(candidate.entity, 'script', script.preconditions)
        if candidate.instance is None:
            return of_script
        of_instance = self._check.of_instance(candidate.instance)
        return of_script + required_of(candidate.entity, 'instance', of_instance)

    async def look(self, order: StartOrder, *, since: float | None = None) -> float | None:
        """Return when the robot was looked at, by the monotonic clock, where all is met; None
        where nothing is required. `since` is when it was before: that may be good yet.

        PreconditionsUnmet, with all that are.
        """
        if not order.preconditions:
            return None
        oldest = min(each.precondition.max_age_sec for each in order.preconditions)
        if since is None or self._monotonic() - since > oldest:
            await self._see(order.preconditions)
            since = self._monotonic()
        return since

    async def look_ahead(self, starts: Iterable[tuple[Candidate, Script]]) -> None:
        """Look for all of these at once: what is found is known to who looks next."""
        required = [each for start in starts for each in self.required(*start)]
        if required:
            await self.stand(required)

    async def wait(self, order: StartOrder, patience_sec: float) -> None:
        """Wait until all is met, for so long; PreconditionsUnmet then.

        Where a robot starts its nodes and its values come one after the other.
        """
        if order.preconditions:
            await self._see(order.preconditions, patience_sec)

    async def _see(self, required: Sequence[Required], patience_sec: float = 0.0) -> None:
        unmet = [
            each for each in await self.stand(required, patience_sec) if not each.standing.met
        ]
        if unmet:
            raise PreconditionsUnmet(unmet)

    async def stand(
        self, required: Sequence[Required], patience_sec: float = 0.0
    ) -> Sequence[Looked]:
        """Return how each of these stands."""
        standings = await self._check.look(
            [each.precondition for each in required], patience_sec=patience_sec
        )
        return [
            Looked(required=each, standing=standing)
            for each, standing in zip(required, standings, strict=True)
        ]
