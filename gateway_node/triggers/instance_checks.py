# SPDX-License-Identifier: Apache-2.0
"""What must hold for an instance to be made, and to be started later; each check raises."""

from gateway_node.executions.actors import Actor
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import (
    DiskSpaceLow,
    FeatureNotAvailable,
    RunnerUnavailable,
    TimeoutTooLong,
)
from gateway_node.executions.preconditions import check_scope
from gateway_node.executions.proximity import StartUnattended
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.service import ExecutionService
from gateway_node.scripts.errors import (
    InstanceRefused,
    LibraryUnavailable,
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)
from gateway_node.scripts.evidence_policy import BAG_TOPICS
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.triggers.errors import SecretsInInstance
from gateway_node.triggers.values import Instance
from gateway_node.violations import Violation

_FOR_GOOD = (
    ScriptNotFound,
    ParametersInvalid,
    TimeoutTooLong,
    FeatureNotAvailable,
    StartUnattended,
)
_FOR_THE_MOMENT = (
    DiskSpaceLow,
    LibraryUnavailable,
    RunnerUnavailable,
    SchemaCheckUnavailable,
    ScriptsTurnedOff,
)


class InstanceChecks:
    """Checks instances against the scripts that there are now."""

    def __init__(self, executions: ExecutionService) -> None:
        self._executions = executions

    async def check(self, instance: Instance, actor: Actor) -> StartOrder:
        """Return what a start of an instance would start, where an actor may have it made.

        Raises:
            ScriptNotFound, ParametersInvalid, TimeoutTooLong, FeatureNotAvailable, DiskSpaceLow,
            RunnerUnavailable, SchemaCheckUnavailable: as their names say.
            InstanceRefused: it asks for evidence that this machine cannot take.
            SecretsInInstance: secrets are among the parameters.
            BeyondScope: what it looks at is more than the actor may see.
            StartUnattended, ConfirmationNeeded: of a script whose starts somebody has to attend,
            or to confirm, where triggers start it.
        """
        definition = instance.definition
        order = await self._check_start(instance, actor)
        _check_scope(definition, actor)
        missing = self._executions.missing_for(definition.evidence)
        if missing:
            reason = f'cannot be recorded: {missing}'
            raise InstanceRefused([Violation(path=BAG_TOPICS, reason=reason)])
        confirmation = order.script.confirmation
        if definition.start_triggers and confirmation is not None and not definition.confirmed:
            raise ConfirmationNeeded.of(order)
        return order

    async def fault(self, instance: Instance, actor: Actor) -> str | None:
        """Return why an instance cannot be started as things are, for a person; None where
        nothing is known that is in the way for good."""
        try:
            order = await self._check_start(instance, actor)
        except _FOR_THE_MOMENT:
            return None
        except _FOR_GOOD as error:
            return str(error)
        confirmation = order.script.confirmation
        triggers = instance.definition.start_triggers
        if triggers and confirmation is not None and confirmation != instance.confirmation:
            return 'its script asks for another confirmation than was given for its triggers'
        return None

    async def _check_start(self, instance: Instance, actor: Actor) -> StartOrder:
        ref = instance.ref
        order = await self._executions.examine(
            ref.entity, ref.script_id, instance.start_request(), actor=actor
        )
        if order.secrets:
            raise SecretsInInstance(order.secrets)
        if instance.definition.start_triggers and order.script.proximity_proof_required:
            raise StartUnattended.by_trigger(ref.script_id)
        return order


def _check_scope(definition: InstanceDefinition, actor: Actor) -> None:
    """Raise BeyondScope where a condition may not be made by who is narrowed."""
    for kind in ('start_triggers', 'stop_triggers', 'preconditions'):
        check_scope(actor.scope, kind, getattr(definition, kind))
