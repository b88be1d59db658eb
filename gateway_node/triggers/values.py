# SPDX-License-Identifier: Apache-2.0
"""Values of the triggers' room."""

from dataclasses import dataclass
import datetime

from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.instance_refs import InstanceRef, InstanceStart
from gateway_node.executions.rights import Rights
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import ExecutionType, Trigger
from gateway_node.scripts.instances import InstanceDefinition


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance of a script, as it is now."""

    ref: InstanceRef
    definition: InstanceDefinition
    enabled: bool
    """Whether its triggers fire; by hand it is started all the same."""
    managed: bool = False
    """From the scripts manifest: it can be neither replaced nor deleted."""
    rights: Rights | None = None
    """Of who made it, as whom its triggers start it. None where nobody was asked who they are, and
    for a managed one: that is the gateway's own."""
    confirmation: str | None = None
    """What of its script whoever made it has confirmed, for all that its triggers start."""
    created_at: datetime.datetime | None = None
    """None for a managed one, as is when it changed."""
    created_by: str | None = None
    """Who that was, for a person."""
    changed_at: datetime.datetime | None = None

    @property
    def version(self) -> str:
        """Of its definition."""
        return self.definition.version

    def start_request(
        self,
        trigger: Trigger | None = None,
        *,
        queue: bool = True,
        confirmed: bool = False,
        proximity_response: str | None = None,
        key: IdempotencyKey | None = None,
    ) -> StartRequest:
        """Return the wish to start it now: by the trigger that fired, as who made it, or by hand.

        `queue` tells whether it waits in line where there is no place.
        """
        definition = self.definition
        return StartRequest(
            execution_type=ExecutionType.NOW,
            parameters=definition.parameters,
            arguments=definition.arguments,
            timeout_sec=definition.timeout_sec,
            priority=definition.priority,
            queue=queue,
            confirmed=confirmed,
            proximity_response=proximity_response,
            key=key,
            instance=InstanceStart(
                name=definition.name, version=self.version, trigger=trigger, rights=self.rights
            ),
        )
