# SPDX-License-Identifier: Apache-2.0
"""Has what happens on the robot held as long as something may ask for it, and no longer."""

from collections.abc import Callable, Iterable

from gateway_node.evidence.policies import asks, Policies
from gateway_node.evidence.ports import RobotWitness
from gateway_node.executions.events import Event, SCRIPT_KINDS
from gateway_node.executions.values import Execution
from gateway_node.scripts.evidence_policy import EvidencePolicy


class Vigil:
    """Knows whether something may ask for evidence: the default, a script or an instance."""

    def __init__(
        self,
        robot: RobotWitness,
        policies: Policies,
        declared: Callable[[], Iterable[EvidencePolicy | None]],
    ) -> None:
        """Take what tells what scripts and instances say at the moment."""
        self._robot = robot
        self._policies = policies
        self._declared = declared
        self._release: Callable[[], None] | None = None

    def look_again(self) -> None:
        """Have it held where something may ask for it now, and not where nothing may."""
        wanted = self._policies.any_asks(self._declared())
        if wanted and self._release is None:
            self._release = self._robot.keep()
        elif not wanted:
            self.end()

    def end(self) -> None:
        """Have nothing held any more."""
        if self._release is not None:
            self._release()
            self._release = None

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Look again where a script became another one."""
        if event.kind in SCRIPT_KINDS:
            self.look_again()

    def on_policy(self, before: EvidencePolicy | None, after: EvidencePolicy | None) -> None:
        """Look again where what an instance says became something else."""
        if asks(before) is not asks(after):
            self.look_again()
