# SPDX-License-Identifier: Apache-2.0
"""The places that a start takes: in the line, of what one identity has open, of schedules."""

from collections.abc import Iterable

from gateway_node.executions.candidates import Candidate
from gateway_node.executions.errors import (
    InstanceAlreadyRunning,
    OpenLimitReached,
    ScheduleLimitReached,
)
from gateway_node.executions.line import Line, SchedulePlaces
from gateway_node.executions.open_instances import OpenInstances
from gateway_node.executions.open_places import OpenPlaces
from gateway_node.executions.values import Execution
from gateway_node.scripts.values import Script


class StartPlaces:
    """All of them, taken together and freed together."""

    def __init__(self, line: Line, *, max_schedules: int, max_open_per_identity: int) -> None:
        """Take the line and the other limits, of which 0 sets none."""
        self.line = line
        self.instances = OpenInstances()
        self._schedule_places = SchedulePlaces(max_schedules)
        self._open_places = OpenPlaces(max_open_per_identity)

    def take(self, candidate: Candidate, script: Script) -> bool:
        """Take the places of a client's start; tell whether it stands in line for one.

        Raises:
            InstanceAlreadyRunning, ScriptAlreadyRunning, ConcurrencyLimitReached, LineFull,
            LinePaused, ScheduleLimitReached, OpenLimitReached: as their names say.
        """
        waits = False
        self.instances.take(candidate.instance, candidate.execution_id)
        self._open_places.take(candidate.identity, candidate.ids)
        # Who stands there now need not when its turn comes.
        if candidate.runs and candidate.queue and not script.proximity_proof_required:
            waits = self.line.take_or_wait(candidate.place(script))
        elif candidate.runs:
            self.line.take(candidate.place(script))
        if candidate.schedule_id is not None:
            self._schedule_places.take(candidate.schedule_id)
        return waits

    def refusals(self, candidate: Candidate, script: Script) -> tuple[Exception, ...]:
        """Return all that would keep a start from having its places at once; nothing is taken."""
        refused: list[Exception] = []
        try:
            self.instances.check(candidate.instance, candidate.execution_id)
        except InstanceAlreadyRunning as error:
            refused.append(error)
        try:
            self._open_places.check(candidate.identity, candidate.ids)
        except OpenLimitReached as error:
            refused.append(error)
        try:
            if candidate.schedule_id is not None:
                self._schedule_places.check(candidate.schedule_id)
        except ScheduleLimitReached as error:
            refused.append(error)
        if candidate.runs:
            refused += self.line.refusals(candidate.place(script))
        return tuple(refused)

    def give(self, candidate: Candidate) -> None:
        """Count what is accepted among what its identity has open, however much that is."""
        self._open_places.give(candidate.identity, candidate.ids)

    def restore_schedules(self, schedules: Iterable[Execution]) -> None:
        """Give schedules of earlier gateways their places, however many there are."""
        for schedule in schedules:
            self._schedule_places.restore([schedule.id])
            self._open_places.give(schedule.trigger.username, [schedule.id])

    def begin(self, execution_id: str) -> None:
        """Free the place of a schedule that becomes an execution; harmless where it is none."""
        self._schedule_places.leave(execution_id)

    def leave(self, execution_id: str) -> None:
        """Free what an execution, or a schedule, has of them; harmless where that is nothing."""
        self.instances.leave(execution_id)
        self.line.leave(execution_id)
        self._schedule_places.leave(execution_id)
        self._open_places.leave(execution_id)
