# SPDX-License-Identifier: Apache-2.0
"""Whose word it is whether evidence is kept: the instance's, else the script's, else the
default."""

from collections.abc import Callable, Iterable
import itertools

from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.evidence_policy import EvidencePolicy, EvidenceWhen
from gateway_node.scripts.values import Script, Verdict

OfInstance = Callable[[Execution], EvidencePolicy | None]
"""Tells what the instance says that an execution is of; None where it says nothing, or there is
none."""


def of_no_instance(execution: Execution) -> EvidencePolicy | None:
    """Know of no instance."""
    return None


class Policies:
    """Knows what holds for an execution."""

    def __init__(self, default: EvidenceWhen, of_instance: OfInstance = of_no_instance) -> None:
        self._default = EvidencePolicy(when=default)
        self.of_instance = of_instance

    def of(self, execution: Execution, script: Script) -> EvidencePolicy:
        """Return what holds for an execution of a script."""
        return self.of_instance(execution) or script.evidence or self._default

    def any_asks(self, others: Iterable[EvidencePolicy | None]) -> bool:
        """Tell whether evidence may be kept of something, by the default or one of these."""
        return any(map(asks, itertools.chain([self._default], others)))


def asks(policy: EvidencePolicy | None) -> bool:
    """Tell whether evidence may be kept by a policy."""
    return policy is not None and policy.when is not EvidenceWhen.NEVER


def keeps(policy: EvidencePolicy, status: ExecutionStatus, verdict: Verdict | None) -> bool:
    """Tell whether evidence is kept by a policy of what ends so."""
    if policy.when is EvidenceWhen.ON_FAILURE:
        return status is ExecutionStatus.FAILED or verdict is Verdict.FAIL
    return policy.when is EvidenceWhen.ALWAYS
