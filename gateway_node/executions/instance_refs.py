# SPDX-License-Identifier: Apache-2.0
"""What executions and the log know of instances of scripts: names, and what is kept of them.

What an instance is, and when its triggers fire, is the triggers' to know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import datetime
from functools import cached_property
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.rights import Rights
from gateway_node.executions.values import Execution, Trigger


@dataclass(frozen=True, kw_only=True)
class InstanceRef:
    """Which instance."""

    entity: EntityRef
    script_id: str
    name: str
    """Unique among the instances of the script."""

    @property
    def subject(self) -> str:
        """Its path, as events name it: `apps/x/scripts/s/instances/n`."""
        return f'{self.entity.path}/scripts/{self.script_id}/instances/{self.name}'


def instance_of(execution: Execution) -> InstanceRef | None:
    """Return the instance on behalf of which an execution runs; None where that is none."""
    if execution.instance is None:
        return None
    return InstanceRef(
        entity=execution.entity, script_id=execution.script_id, name=execution.instance
    )


@dataclass(frozen=True, kw_only=True)
class InstanceStart:
    """On behalf of which instance an execution is started, and by what."""

    name: str
    version: str
    """Of the instance, as it is now."""
    trigger: Trigger | None = None
    """The condition that fired; None where whoever asks starts it by hand."""
    rights: Rights | None = None
    """Of who made the instance: where a condition fired, it is started as them. None where nobody
    was asked who they are."""


@dataclass(frozen=True, kw_only=True)
class KeptInstance:
    """An instance as it is to be kept, or not any more."""

    ref: InstanceRef
    document: Mapping[str, Any] | None
    """In JSON values; None where it is gone."""
    stays: frozenset[str] = frozenset()
    """The conditions of its triggers that are what they were: what is kept of those stays."""


@dataclass(frozen=True, kw_only=True)
class TriggerRef:
    """Which trigger of an instance, told by its condition: another condition is another one."""

    instance: InstanceRef
    condition: str
    """Its JSON, as text."""

    @cached_property
    def _hash(self) -> int:
        return hash((self.instance, self.condition))

    def __hash__(self) -> int:
        # Kept: it is looked up with each value that a trigger looks at.
        return self._hash


@dataclass(frozen=True, kw_only=True)
class PendingFiring:
    """A trigger has fired, and what it is to lead to is not done yet.

    It is pending from the commit of its event on, to that of what it started, of the stop, or of
    the event that it was dropped.
    """

    trigger: TriggerRef
    pointer: str
    """Which one it was: `/start_triggers/0`."""
    setting: str
    """The condition, as a line of text."""
    stops: bool = False
    """Whether it is to stop what runs, and starts nothing."""
    truth: bool | None = True
    """Of the condition from now on; None where that tells nothing: a moment is over."""


@dataclass(frozen=True, kw_only=True)
class TriggerState:
    """What is kept of a trigger over restarts."""

    truth: bool | None = None
    """The last one that was known."""
    fired: int = 0
    dropped: int = 0
    """Of its firings, how many led to nothing."""
    last_firing: int | None = None
    """The sequence of the event of its last firing."""
    last_fired_at: datetime.datetime | None = None
    seen_at: datetime.datetime | None = None
    """When it was last looked at, as far as that was kept, by the wall clock."""
    fired_up_sec: float | None = None
    """How long gateways had been up when it fired last."""
