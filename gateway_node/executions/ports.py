# SPDX-License-Identifier: Apache-2.0
"""What executions need from outside, but a store and a runner, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.events import Event
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.evidence_policy import EvidencePolicy
from gateway_node.scripts.values import Script, Verdict


class Entities(Protocol):
    """The entities that there are: the directory, or what somebody sees of it."""

    def refs(self) -> tuple[EntityRef, ...]:
        """Return all entities that carry scripts."""

    def host(self) -> EntityRef:
        """Return the host component."""


class Archive(Protocol):
    """Keeps ended executions for good, where the history keeps them no longer."""

    async def check(self) -> None:
        """Return where something can be kept, as far as a look tells; ArchiveUnavailable."""

    async def append(self, executions: AsyncIterator[Execution]) -> None:
        """Keep these; when this returns they outlive a power cut.

        After a crash, and only then, some may be kept twice. ArchiveUnavailable, and then none of
        these is kept.
        """


class ScriptCredentials(Protocol):
    """Gives scripts what they show to the API."""

    def issue(self, execution: Execution) -> str | None:
        """Return a token that is good for an execution's script, until `revoke`; None where it
        needs none, or nobody has rights to give it."""

    def revoke(self, execution_id: str) -> None:
        """Let no token of an execution be good any more; harmless where there is none."""


class NoScriptCredentials:
    """Gives none, where nobody is asked who they are."""

    def issue(self, execution: Execution) -> str | None:
        """Give none."""

    def revoke(self, execution_id: str) -> None:
        """Let none be good."""


class Witness(Protocol):
    """Takes evidence of what is around executions; nothing of it can harm one."""

    def missing_for(self, policy: EvidencePolicy | None) -> str:
        """Say what this machine lacks for what a policy asks for, by name; empty where it lacks
        nothing."""

    def wants(self, execution: Execution, script: Script) -> bool:
        """Tell whether evidence may be kept of an execution whose script is about to start."""

    async def before(self, execution: Execution, script: Script) -> None:
        """Look around before the script starts, in a second at most; only where it is wanted."""

    def keeps(self, execution_id: str, status: ExecutionStatus, verdict: Verdict | None) -> bool:
        """Tell whether evidence is kept of an execution that ends so; `before` was called."""

    def ended(self, execution: Execution) -> None:
        """Hear of an end that is on record, of an execution of which `before` was called; returns
        at once."""


class NoWitness:
    """Takes none."""

    def missing_for(self, policy: EvidencePolicy | None) -> str:
        """Lack nothing, as nothing is taken."""
        return ''

    def wants(self, execution: Execution, script: Script) -> bool:
        """Want none."""
        return False

    async def before(self, execution: Execution, script: Script) -> None:
        """Look at nothing."""

    def keeps(self, execution_id: str, status: ExecutionStatus, verdict: Verdict | None) -> bool:
        """Keep nothing."""
        return False

    def ended(self, execution: Execution) -> None:
        """Return."""


class FreeSpace(Protocol):
    """Knows whether the disk has the room that the gateway leaves to others."""

    async def check(self) -> None:
        """Return where it has, or where nobody knows; DiskSpaceLow."""


class EntityGuard(Protocol):
    """Knows who may change something at the moment, of those whose role allows it."""

    def check(self, entity: EntityRef | None, actor: Actor) -> None:
        """Return where an actor may change something of an entity, or, None, of all;
        EntityLocked."""


class InstanceVersions(Protocol):
    """Knows which instances of scripts there are at the moment."""

    def version_of(self, ref: InstanceRef) -> str | None:
        """Return the version that an instance has now; None where there is no such one."""

    def versions(self) -> Mapping[InstanceRef, str]:
        """Return the versions that all instances have now."""


class NoInstances:
    """Knows none."""

    def version_of(self, ref: InstanceRef) -> str | None:
        """Return None."""
        return None

    def versions(self) -> Mapping[InstanceRef, str]:
        """Return none."""
        return {}


class CallbackCheck(Protocol):
    """Knows where ends may be told."""

    def __call__(self, url: str) -> None:
        """Return where an end may be told there; CallbackRefused."""


class EventListener(Protocol):
    """Is told of everything, on the event loop, after it was kept."""

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take an event, with the execution as it is then where it is kept; must return at
        once."""


class ProgressListener(Protocol):
    """Is told of progress, on the event loop; it is not recorded until the next status."""

    def on_progress(self, execution: Execution) -> None:
        """Take a change of progress; must return at once."""
