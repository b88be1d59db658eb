# SPDX-License-Identifier: Apache-2.0
"""Hears of executions: looks before a start, and says of an end whether evidence is kept."""

import asyncio
from collections.abc import Awaitable
import contextlib
from dataclasses import dataclass
import logging

from gateway_node.clock import Clock
from gateway_node.evidence.begun import BEFORE_SEC, Begun, MAX_LINES_BEFORE
from gateway_node.evidence.errors import NotKept, Unavailable
from gateway_node.evidence.keeping import EvidenceKeeping, MAX_AT_ONCE
from gateway_node.evidence.looking import Looks, PATIENCE_SEC
from gateway_node.evidence.policies import asks, keeps, Policies
from gateway_node.evidence.ports import EvidenceFiles, RobotWitness
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
    files: EvidenceFiles
    keeping: EvidenceKeeping
    vigil: Vigil
    max_bytes: int
    """Of a bag."""


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
        begun = Begun(
            policy=self.policies.of(execution, script),
            at=self._clock.now(),
            monotonic=self._clock.monotonic(),
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
            self._record_bag(means, execution.id, begun),
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
        if begun is None:
            return
        if execution.evidence:
            self._opened.keeping.keep(execution, begun)
        else:
            self._opened.keeping.drop(execution, begun)

    @property
    def _opened(self) -> Means:
        assert self._means is not None, 'it is not open'
        return self._means

    @staticmethod
    async def _record_bag(means: Means, execution_id: str, begun: Begun) -> None:
        if not begun.policy.bag_topics:
            return
        begun.bag_fault = f'the recording did not begin within {PATIENCE_SEC:g} s'
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SEC):
                try:
                    folder = await means.files.bag_folder(execution_id)
                    begun.recording = await means.robot.record(
                        begun.policy.bag_topics, folder, means.max_bytes
                    )
                except (NotKept, Unavailable) as error:
                    begun.bag_fault = str(error)
                else:
                    begun.bag_fault = ''
