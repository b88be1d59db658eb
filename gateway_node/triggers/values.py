# SPDX-License-Identifier: Apache-2.0
"""Values of the triggers' room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import datetime
import enum
import json
from typing import Any

from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.instance_refs import InstanceRef, InstanceStart, TriggerRef
from gateway_node.executions.rights import Rights
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import ExecutionType, Trigger
from gateway_node.scripts.instances import InstanceDefinition, InstanceTrigger


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

    @property
    def triggers(self) -> 'Iterator[tuple[Side, int, InstanceTrigger]]':
        """Its triggers, each with what it is for and its place among those."""
        for side in Side:
            triggers: Sequence[InstanceTrigger] = getattr(self.definition, side.value)
            for index, trigger in enumerate(triggers):
                yield side, index, trigger

    def start_request(
        self,
        trigger: Trigger | None = None,
        *,
        queue: bool = True,
        confirmed: Confirmed = False,
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


class Side(enum.Enum):
    """What a trigger is for; the values name the member of the instance that lists it."""

    START = 'start_triggers'
    """It starts the instance."""
    STOP = 'stop_triggers'
    """It stops what runs of the instance."""


@dataclass(frozen=True, kw_only=True)
class Firing:
    """Once that a trigger fires."""

    values: Any
    """What it looked at, as JSON values."""
    truth: bool | None
    """Of the condition from now on; None where that tells nothing."""


def trigger_ref(instance: InstanceRef, trigger: InstanceTrigger) -> TriggerRef:
    """Return what names a trigger on record."""
    document = trigger.condition.document
    condition = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return TriggerRef(instance=instance, condition=condition)
