# SPDX-License-Identifier: Apache-2.0
"""Which starts came from beside the robot, where their script requires that."""

from gateway_node.executions.candidates import Candidate
from gateway_node.executions.errors import NotStartable
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.proximity import ProximityCheck, StartUnattended
from gateway_node.scripts.values import Script


class ProvenStarts:
    """Remembers them until they leave, in this life of the gateway: a later one knows of none."""

    def __init__(self, proximity: ProximityCheck) -> None:
        self._proximity = proximity
        self._proven: set[str] = set()

    def check_attended(self, candidate: Candidate, script: Script) -> None:
        """Raise StartUnattended where nobody would stand beside the robot."""
        if not script.proximity_proof_required:
            return
        if candidate.schedule_id is not None:
            raise StartUnattended.by_schedule(script.id)
        if candidate.proof is None:
            raise _unattended(candidate, script)

    async def prove(self, candidate: Candidate, script: Script) -> None:
        """Have a client's start proven, once; raises what `ProximityCheck.check` raises."""
        if candidate.proof is None or not script.proximity_proof_required:
            return
        if candidate.execution_id not in self._proven:
            await self._proximity.check(candidate.entity, script, candidate.proof)
            self._proven.add(candidate.execution_id)

    def check_proven(self, candidate: Candidate, script: Script) -> None:
        """Raise NotStartable where the start of what is accepted would have to be proven."""
        if script.proximity_proof_required and candidate.execution_id not in self._proven:
            raise NotStartable(
                FailureReason.PROXIMITY_UNPROVEN,
                'its script requires a proof of proximity, and none was given for this start',
            )

    def follow(self, execution_id: str, after: str | None) -> None:
        """Take an execution for proven where the one is whose start is that of this one, too."""
        if after in self._proven:
            self._proven.add(execution_id)

    def forget(self, execution_id: str) -> None:
        """Forget one that has left."""
        self._proven.discard(execution_id)


def _unattended(candidate: Candidate, script: Script) -> StartUnattended:
    if candidate.group is not None:
        return StartUnattended.on_several([candidate.entity.path])
    if candidate.instance is not None:
        return StartUnattended.by_trigger(script.id)
    return StartUnattended.among_many(script.id)
