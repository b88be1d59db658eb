# SPDX-License-Identifier: Apache-2.0
"""The triggers of all instances: which are armed, and who is told when one fires.

It lives on the event loop, and listens to the instances and to the log. See decision 070.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, TYPE_CHECKING

from gateway_node.clock import Clock
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.instance_refs import (
    instance_of,
    InstanceRef,
    PendingFiring,
    TriggerRef,
    TriggerState,
)
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution
from gateway_node.scripts.instances import InstanceTrigger, WhileDown
from gateway_node.triggers.firings import Firings
from gateway_node.triggers.instance_service import Instances
from gateway_node.triggers.ports import InstanceStore
from gateway_node.triggers.running_instances import RunningInstances
from gateway_node.triggers.script_ends import ScriptEnds
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.truths import Truths
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.values import Firing, Instance, Side, trigger_ref
from gateway_node.triggers.watches import Watches

if TYPE_CHECKING:
    from gateway_node.triggers.arming import Surroundings
    from gateway_node.triggers.live_trigger import LiveTrigger

NOT_ENABLED = 'the instance is not enabled'
NOT_RUNNING = 'no execution of the instance is open'


class Triggers:
    """Arms them, and has what they fire for done: an `InstanceListener`, and an `EventListener`.

    Start triggers are armed while their instance is enabled, stop triggers while an execution of
    it is open.
    """

    def __init__(
        self,
        *,
        instances: Instances,
        executions: ExecutionService,
        ledger: Ledger,
        store: InstanceStore,
        turns: Turns,
        watches: Watches,
        timers: Timers,
        clock: Clock,
        records: ExecutionStore,
    ) -> None:
        """Take them; `records` are what `ledger` writes, and nothing of this gateway yet."""
        self._instances = instances
        self._store = store
        self._records = records
        self._watches = watches
        self._timers = timers
        self._clock = clock
        self._ends = ScriptEnds(
            records=records, turns=turns, book=instances.book, is_firing=self._is_firing
        )
        self._truths = Truths(store, clock, self._is_firing, lambda: self._ends.seen)
        self._open = RunningInstances()
        self._live: dict[InstanceRef, list[LiveTrigger]] = {}
        self._by_ref: dict[TriggerRef, LiveTrigger] = {}
        self._firings = Firings(
            ledger=ledger,
            executions=executions,
            instances=instances,
            live=self._by_ref.get,
            open_executions=self._open.of,
            on_recorded=self._on_recorded,
        )
        self._left: dict[TriggerRef, TriggerState] = {}
        """What earlier gateways kept of triggers that did not appear yet: those of the manifest
        come with their entities."""
        self._opening = False
        self._closed = False
        self._fired = self._dropped = self._damped_before = 0
        ledger.add_listener(self)

    async def open(self) -> None:
        """Arm what is enabled, and do what earlier gateways recorded firings for and had not
        done; StoreUnavailable.

        Called once, when the executions and the instances are open.
        """
        self._left = dict(await self._store.trigger_states())
        pending = await self._store.pending_firings()
        self._open.open(await self._records.open_executions())
        self._truths.know({ref: state.truth for ref, state in self._left.items()})
        await self._ends.open(await self._store.ends_seen())
        self._opening = True
        self._instances.book.add_listener(self)
        self._opening = False
        for sequence, each in pending.items():
            self._firings.resume(sequence, each)
        self._ends.begin()
        book = self._instances.book
        to_come = [ref for ref in self._left if book.find(ref.instance) is None]
        await self._truths.keep_only([*self._by_ref, *to_come])

    async def keep_truths(self) -> None:
        """Keep what the next gateway is to know; never returns."""
        await self._truths.keep_keeping()

    def close(self) -> None:
        """Let nothing fire any more; `wait_closed` follows."""
        self._closed = True
        self._ends.close()
        for trigger in self._by_ref.values():
            if trigger.side is Side.START and trigger.is_armed:
                self._truths.note(
                    trigger.ref, trigger.truth_to_keep, seen=trigger.waits_for_calendar
                )
            trigger.disarm()
        self._firings.close()

    async def wait_closed(self) -> None:
        """Wait until what had fired is done, or left to the next gateway."""
        await self._firings.wait_closed()
        await self._truths.keep(last=True)

    @property
    def figures(self) -> dict[str, int]:
        """What is watched and armed now, and what happened since the start of the gateway."""
        live = self._by_ref.values()
        return {
            'topics': self._watches.topics,
            'sources': len(self._watches),
            'armed': sum(each.is_armed for each in live),
            'under_way': len(self._firings),
            'fired': self._fired,
            'dropped': self._dropped,
            'damped': self._damped_before + sum(each.damped for each in live),
        }

    def shown(self, ref: InstanceRef) -> dict[str, Any]:
        """Return how each trigger of an instance stands, in JSON values."""
        shown: dict[str, list[Any]] = {side.value: [] for side in Side}
        for trigger in self._live.get(ref, ()):
            unarmed = NOT_ENABLED if trigger.side is Side.START else NOT_RUNNING
            shown[trigger.side.value].append(trigger.shown(unarmed=unarmed))
        return shown

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Arm and disarm the triggers of an instance as it is now."""
        if self._closed:
            return
        if after is None:
            if before is not None:
                self._let_go(self._live.pop(before.ref, ()))
                self._ends.have(before.ref, ())
            return
        known = {each.ref: each for each in self._live.get(after.ref, ())}
        triggers = [
            self._as_now(after.ref, side, index, trigger, known)
            for side, index, trigger in after.triggers
        ]
        self._let_go(known.values())
        self._live[after.ref] = triggers
        self._by_ref.update((each.ref, each) for each in triggers)
        self._ends.have(after.ref, triggers)
        for trigger in triggers:
            self._arm(trigger, enabled=after.enabled)
            self._note_truth(trigger)

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take what starts and ends."""
        self._fired += event.kind is EventKind.TRIGGER_FIRED
        self._dropped += event.kind is EventKind.TRIGGER_DROPPED
        if execution is None or self._closed:
            return
        self._open.take(event, execution)
        if (ref := instance_of(execution)) is not None:
            for trigger in self._live.get(ref, ()):
                if trigger.side is Side.STOP:
                    self._arm_stop(trigger)
        if event.kind is EventKind.EXECUTION_ENDED:
            self._ends.take(event, execution)
            self._truths.look()

    @cached_property
    def _around(self) -> 'Surroundings':
        """What triggers look around with, made with the first of them."""
        from gateway_node.triggers.arming import Surroundings
        from gateway_node.triggers.wall_times import WallTimes

        return Surroundings(
            watches=self._watches,
            timers=self._timers,
            wall_times=WallTimes(self._clock, self._timers),
            clock=self._clock,
            up_sec=self._records.up_sec,
        )

    def _as_now(
        self,
        instance: InstanceRef,
        side: Side,
        index: int,
        trigger: InstanceTrigger,
        known: 'dict[TriggerRef, LiveTrigger]',
    ) -> 'LiveTrigger':
        """Return a trigger, the one that is there already where nothing of it changed."""
        ref = trigger_ref(instance, trigger)
        present = known.get(ref)
        if present is not None and present.side is side and present.trigger == trigger:
            del known[ref]
            present.index = index
            return present
        # Loaded with the first trigger, and the language of its condition with it.
        from gateway_node.triggers.live_trigger import LiveTrigger

        return LiveTrigger(
            ref,
            side,
            index,
            trigger,
            self._left.get(ref, TriggerState()),
            self._around,
            on_fire=self._on_fire,
            on_storm=self._firings.tell_storm,
            on_truth=self._note_truth,
        )

    def _arm(self, trigger: 'LiveTrigger', *, enabled: bool) -> None:
        left = self._left.pop(trigger.ref, None)
        if trigger.side is Side.STOP:
            self._arm_stop(trigger)
        elif not enabled:
            trigger.disarm()
        elif not trigger.is_armed:
            if left is not None and trigger.trigger.while_down is WhileDown.FIRE:
                trigger.arm(last=left.truth, seen_at=left.seen_at, at_start=True)
            else:
                trigger.arm(at_start=self._opening)
        if trigger.is_armed and (self._opening or left is not None):
            self._ends.make_up(trigger)

    def _arm_stop(self, trigger: 'LiveTrigger') -> None:
        runs = bool(self._open.of(trigger.ref.instance))
        if not runs:
            trigger.disarm()
        elif not trigger.is_armed:
            # What is to stop it and holds already stops it.
            trigger.arm(last=False)

    def _let_go(self, triggers: 'Iterable[LiveTrigger]') -> None:
        for trigger in triggers:
            trigger.disarm()
            self._truths.forget(trigger.ref)
            self._damped_before += trigger.damped
            if self._by_ref.get(trigger.ref) is trigger:
                del self._by_ref[trigger.ref]

    def _on_fire(self, trigger: 'LiveTrigger', firing: Firing) -> None:
        if not self._closed:
            self._ends.note_firing(trigger.ref)
            self._firings.fire(trigger, firing)

    def _is_firing(self, ref: TriggerRef) -> bool:
        trigger = self._by_ref.get(ref)
        return trigger is not None and trigger.is_being_recorded

    def _on_recorded(self, pending: PendingFiring) -> None:
        if pending.truth is not None:
            self._truths.know({pending.trigger: pending.truth})

    def _note_truth(self, trigger: 'LiveTrigger') -> None:
        if trigger.side is Side.START and trigger.is_armed:
            self._truths.note(trigger.ref, trigger.truth_to_keep, seen=trigger.take_seen())
