# SPDX-License-Identifier: Apache-2.0
"""Hears of executions: looks before a start, and says of an end whether evidence is kept."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
import logging

from gateway_node.clock import Clock
from gateway_node.evidence.begun import BEFORE_SEC, Begun, MAX_LINES_BEFORE
from gateway_node.evidence.keeping import EvidenceKeeping, MAX_AT_ONCE
from gateway_node.evidence.looking import Looks
from gateway_node.evidence.policies import asks, keeps, Policies
from gateway_node.evidence.ports import RobotWitness
from gateway_node.evidence.seen_robot import Json
from gateway_node.evidence.vigil import Vigil
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.evidence_policy import EvidencePolicy
from gateway_node.scripts.values import Script, Verdict

_log = logging.getLogger(__name__)


MAX_HELD = 200
"""Executions at a time of which it is held what was before their start."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a witness looks with; executions have to be there before it can be."""

    robot: RobotWitness
    looks: Looks
    keeping: EvidenceKeeping
    vigil: Vigil


class EvidenceWitness:
    """Fulfils the port `Witness` of executions; `open` before any of them starts."""

    def __init__(self, policies: Policies, clock: Clock) -> None:
        self.policies = policies
        """By which it decides."""
        self._clock = clock
        self._means: Means | None = None
        self._begun: dict[str, Begun] = {}

    def open(self, means: Means) -> None:
        """Look with these from now on."""
        self._means = means

    def missing_for(self, policy: EvidencePolicy | None) -> str:
        """Say what this machine lacks for what a policy asks for, by name."""
        if policy is None or not policy.bag_topics or self._means is None:
            return ''
        return self._means.robot.bag_fault

    def wants(self, execution: Execution, script: Script) -> bool:
        """Tell whether evidence may be kept of an execution whose script is about to start."""
        return asks(self.policies.of(execution, script))

    async def before(self, execution: Execution, script: Script) -> None:
        """Look around before the script starts."""
        means = self._opened
        means.vigil.look_again()
        policy = self.policies.of(execution, script)
        begun = Begun(
            policy=policy,
            at=self._clock.now(),
            monotonic=self._clock.monotonic(),
            bag_fault=means.robot.bag_fault if policy.bag_topics else '',
        )
        lines = means.robot.log_lines(begun.monotonic - BEFORE_SEC, begun.monotonic).lines
        begun.lines = lines[-MAX_LINES_BEFORE:]
        begun.statuses = means.robot.diagnostics(begun.monotonic, begun.monotonic).at_begin
        is_held = len(self._begun) < MAX_HELD
        # At once: a stop may take this back at any moment.
        self._begun[execution.id] = begun
        if not is_held:
            begun.take_nothing(f'of {MAX_HELD} executions it is held already')
            return

        async def note(name: str, look: Awaitable[Json]) -> None:
            setattr(begun, name, await look)

        await asyncio.gather(
            note('graph', means.looks.graph()),
            note('node_parameters', means.looks.node_parameters(execution.entity)),
            note('machine', means.looks.machine()),
            note('environment', means.looks.environment(script)),
        )

    def keeps(self, execution_id: str, status: ExecutionStatus, verdict: Verdict | None) -> bool:
        """Tell whether evidence is kept of an execution that ends so."""
        begun = self._begun.get(execution_id)
        if begun is None or not keeps(begun.policy, status, verdict):
            return False
        if not self._opened.keeping.is_full:
            return True
        _log.warning('no evidence of %s: it is being kept of %d others', execution_id, MAX_AT_ONCE)
        return False

    def ended(self, execution: Execution) -> None:
        """Have evidence kept of an execution that says so, and let go of all else."""
        begun = self._begun.pop(execution.id, None)
        if begun is not None and execution.evidence:
            self._opened.keeping.keep(execution, begun)

    @property
    def _opened(self) -> Means:
        assert self._means is not None, 'it is not open'
        return self._means
