# SPDX-License-Identifier: Apache-2.0
"""Parameters with secrets, in memory alone, as long as a start needs them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway_node.executions.candidates import Admitted, Candidate
from gateway_node.executions.errors import NotStartable
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.runner_ports import StartOrder


class HeldSecrets:
    """What is to be started and stands in line, or may be tried again, with all its parameters.

    Records have MASK in place of the secrets, and so has whoever is told of them.
    """

    def __init__(self) -> None:
        self._parameters: dict[str, Mapping[str, Any]] = {}

    def hold_where_needed(self, admitted: Admitted, attempt: int = 1) -> None:
        """Hold the parameters of a start where some are secret, and the start is yet to come, or
        may not be the last."""
        order = admitted.order
        if order.secrets and (admitted.waits or not _is_last(order, attempt)):
            self._parameters[order.execution_id] = order.parameters

    def hide(self, admitted: Admitted, secrets: tuple[str, ...]) -> Admitted:
        """Return what was let in with all hidden that is secret to what was let in with it."""
        if set(secrets) <= set(admitted.order.secrets):
            return admitted
        hidden = replace(admitted, order=replace(admitted.order, secrets=secrets))
        self.hold_where_needed(hidden)
        return hidden

    def holds(self, execution_id: str) -> bool:
        """Tell whether those of an execution are held."""
        return execution_id in self._parameters

    def pass_on(self, execution_id: str, following_id: str) -> None:
        """Hold those of an execution for what follows it, where they are held."""
        if execution_id in self._parameters:
            self._parameters[following_id] = self._parameters[execution_id]

    def parameters_of(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the parameters with which a candidate is to be started; NotStartable where their
        secrets were held by a gateway that has ended."""
        if not candidate.secrets:
            return candidate.parameters
        try:
            return self._parameters[candidate.execution_id]
        except KeyError:
            raise NotStartable(
                FailureReason.SECRETS_GONE,
                f'it was not started before the gateway ended, and the secrets in its parameters '
                f'({", ".join(candidate.secrets)}) are kept in memory only; start it anew',
            ) from None

    def forget_where_last(self, order: StartOrder, attempt: int) -> None:
        """Hold those of what starts now no more where no other attempt may follow."""
        if _is_last(order, attempt):
            self.forget(order.execution_id)

    def forget(self, execution_id: str) -> None:
        """Hold those of an execution no more; harmless where none are held."""
        self._parameters.pop(execution_id, None)


def _is_last(order: StartOrder, attempt: int) -> bool:
    retries = order.script.retries
    return retries is None or attempt > retries.limit
