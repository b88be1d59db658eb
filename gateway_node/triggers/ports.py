# SPDX-License-Identifier: Apache-2.0
"""What triggers need from outside, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import Callable, Collection, Mapping
import datetime
from typing import Protocol

from gateway_node.conditions.sources import Reading, RobotSource
from gateway_node.executions.instance_refs import (
    KeptInstance,
    PendingFiring,
    TriggerRef,
    TriggerState,
)
from gateway_node.triggers.values import Instance


class RobotValues(Protocol):
    """What can be read of the robot."""

    def watch(self, source: RobotSource, tell: Callable[[Reading], None]) -> Callable[[], None]:
        """Have `tell` called on the event loop with what is read of a source, and with each newer
        reading; return what ends that.

        The first one comes as soon as something is known: a value, or a fault; never from within
        this call, and none once it is ended. However many watch the same, it is read once, and
        only while somebody watches. Belongs to the event loop; never raises.
        """


class InstanceStore(Protocol):
    """What is kept of instances and of their triggers; all raise StoreUnavailable.

    What the log tells (`Happening.instance`, `.fires`, `.settles`) is kept in the commit of the
    event, through `Ledger.record`. The first change of an execution whose `trigger.firing` is set
    settles that firing in its own commit, and so does the stop whose `stop_trigger.firing` is.
    """

    async def instances(self) -> tuple[KeptInstance, ...]:
        """Return all that are kept, in the order of their subjects."""

    async def pending_firings(self) -> Mapping[int, PendingFiring]:
        """Return what fired and led to nothing yet, by the sequences of the events, in order;
        of instances that are gone, too."""

    async def trigger_states(self) -> Mapping[TriggerRef, TriggerState]:
        """Return what is kept of triggers.

        It goes where the instance is deleted, or replaced by one without such a trigger
        (`KeptInstance.stays`).
        """

    async def keep_truths(
        self,
        truths: Mapping[TriggerRef, bool | None],
        at: datetime.datetime,
        *,
        ends_seen: int | None = None,
    ) -> None:
        """Keep the last truths of conditions, and that they were looked at; of one that is not
        known the last one that was stays. In the same commit, keep up to which sequence of the
        log the ends of executions were looked at, unless that is None."""

    async def ends_seen(self) -> int | None:
        """Return up to which sequence of the log the ends of executions were looked at, as far as
        that was kept; None where it never was."""

    async def keep_only(self, triggers: Collection[TriggerRef]) -> None:
        """Forget the states of all others."""


class InstanceListener(Protocol):
    """Is told of every change of an instance, on the event loop, after it was kept."""

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Take an instance as it was and as it is; None where there was none, or is none any
        more. Must return at once."""
