# SPDX-License-Identifier: Apache-2.0
"""One trigger of an instance while that is enabled, or runs: what it looks at, when it fires, how
often it may, and what is told of it. See the diagram in decision 070."""

from collections.abc import Callable
from dataclasses import replace
import datetime
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.conditions.values import ScriptEnd
from gateway_node.executions.events import Event
from gateway_node.executions.instance_refs import TriggerRef, TriggerState
from gateway_node.executions.values import Execution
from gateway_node.scripts.instances import InstanceTrigger
from gateway_node.triggers.arming import Arming, Surroundings
from gateway_node.triggers.damping import Damping
from gateway_node.triggers.values import Firing, Side


def waits_for_ends(trigger: InstanceTrigger) -> bool:
    """Tell whether the condition of a trigger asks for ends of executions."""
    return any(isinstance(each, ScriptEnd) for each in trigger.condition.moments)


class LiveTrigger:
    """Owns the state of one trigger; belongs to the event loop."""

    def __init__(
        self,
        ref: TriggerRef,
        side: Side,
        index: int,
        trigger: InstanceTrigger,
        kept: TriggerState,
        around: Surroundings,
        on_fire: Callable[['LiveTrigger', Firing], None],
        on_storm: Callable[['LiveTrigger', int], None],
        on_truth: Callable[['LiveTrigger'], None],
    ) -> None:
        """`on_storm` is told that a storm begins, with 0, and of its end with the count."""
        self.ref = ref
        self.side = side
        self.index = index
        self.trigger = trigger
        self.kept = kept
        """How often it fired, and when last, over restarts."""
        self._around = around
        self._on_fire = on_fire
        self._on_storm = on_storm
        self._on_truth = on_truth
        self._arming: Arming | None = None
        self._damping = Damping(trigger.min_interval_sec, free_at=self._free_at())
        self.waits_for_ends = waits_for_ends(trigger)
        """Whether its condition asks for ends of executions."""
        self._under_way = False
        self._unrecorded = False
        self._fired_since_armed = False
        self._last_drop = ''
        self._led_to: str | None = None

    @property
    def pointer(self) -> str:
        """Where in the instance it stands; a JSON Pointer."""
        return f'/{self.side.value}/{self.index}'

    @property
    def is_armed(self) -> bool:
        """Whether its condition is looked at."""
        return self._arming is not None

    @property
    def is_being_recorded(self) -> bool:
        """Whether it has fired, and that is not on record yet."""
        return self._unrecorded

    @property
    def damped(self) -> int:
        """How often it was held back."""
        return self._damping.total

    @property
    def truth_to_keep(self) -> bool | None:
        """The truth of the condition, as the next gateway is to know it: False as long as its
        having come true is not on record."""
        if self._arming is None or self._arming.truth is None:
            return None
        return self._arming.truth and not (self._unrecorded or self._damping.owes)

    @property
    def waits_for_calendar(self) -> bool:
        """Whether it is to make up for moments of the calendar that nobody looked at."""
        return self._arming is not None and self._arming.makes_up

    def take_seen(self) -> bool:
        """Return whether such a moment came since this was asked last."""
        return self._arming is not None and self._arming.take_seen()

    def arm(
        self,
        *,
        last: bool | None = None,
        seen_at: datetime.datetime | None = None,
        at_start: bool = False,
    ) -> None:
        """Look at its condition from now on; see `Arming`."""
        self.disarm()
        self._fired_since_armed = False
        self._arming = Arming(
            self.trigger.condition,
            self._around,
            self._on_step,
            last=last,
            seen_at=seen_at,
            at_start=at_start,
        )

    def disarm(self) -> None:
        """Look at it no more; harmless where nobody does."""
        if self._arming is None:
            return
        self._arming.end()
        self._arming = None
        self._damping.settle()
        self._around.timers.set((self, 'damping'), None, self._look)
        if count := self._damping.end_storm():
            self._on_storm(self, count)

    def script_ended(self, execution: Execution) -> None:
        """Take that an execution has ended."""
        if self._arming is not None:
            self._arming.script_ended(execution)

    def note_fired(self, event: Event) -> None:
        """Take that its firing is on record."""
        self._unrecorded = False
        self.kept = replace(
            self.kept,
            fired=self.kept.fired + 1,
            last_firing=event.sequence,
            last_fired_at=event.at,
        )
        self._led_to, self._last_drop = None, ''

    def note_dropped(self, reason: str) -> None:
        """Take that it is on record that its last firing leads to nothing."""
        self.kept = replace(self.kept, dropped=self.kept.dropped + 1)
        self._last_drop = reason

    def note_led_to(self, execution_id: str) -> None:
        """Take that its last firing started, or stopped, an execution."""
        self._led_to = execution_id

    def settled(self) -> None:
        """Take that what it fired for is done, or given up."""
        self._under_way = self._unrecorded = False
        if self._arming is not None:
            self._look()
            self._on_truth(self)

    def _free_at(self) -> float | None:
        """Return when it may fire again after what earlier gateways had it fire for.

        The least interval begins anew: after a crash some of the time up is forgotten.
        """
        interval_sec, fired_up_sec = self.trigger.min_interval_sec, self.kept.fired_up_sec
        if fired_up_sec is None or not interval_sec:
            return None
        left_sec = fired_up_sec + interval_sec - self._around.up_sec()
        return self._around.clock.monotonic() + left_sec

    def _on_step(self, fires: bool) -> None:
        if fires:
            self._fire_or_hold_back()
        self._on_truth(self)

    def _fire_or_hold_back(self) -> None:
        if self.side is Side.STOP:
            # Once is enough for what runs.
            if not self._fired_since_armed:
                self._fire()
            return
        now = self._around.clock.monotonic()
        if self._under_way or self._damping.until(now) is not None:
            if self._damping.hold_back(now):
                self._on_storm(self, 0)
            self._set_timer()
        else:
            self._fire()

    def _fire(self) -> None:
        assert self._arming is not None, 'it is not armed'
        self._damping.fire(self._around.clock.monotonic())
        self._under_way = self._unrecorded = self._fired_since_armed = True
        self._on_fire(self, Firing(values=self._arming.values, truth=self._arming.truth))

    def _look(self) -> None:
        """Do what is due of the damping."""
        if self._arming is None:
            return
        now = self._around.clock.monotonic()
        if self._damping.owes and not self._under_way and self._damping.until(now) is None:
            # What holds now fires for all that was held back; what is over does not.
            if self._arming.truth:
                self._fire()
            else:
                self._damping.settle()
        if count := self._damping.end_storm(now):
            self._on_storm(self, count)
        self._set_timer()

    def _set_timer(self) -> None:
        due = None if self._under_way else self._damping.due
        self._around.timers.set((self, 'damping'), due, self._look)

    def shown(self, *, unarmed: str) -> dict[str, Any]:
        """Return how it stands, in JSON values; `unarmed` says why it is not armed."""
        arming, kept = self._arming, self.kept
        shown: dict[str, Any] = {
            'armed': arming is not None,
            'truth': None if arming is None else arming.truth,
        }
        if arming is not None:
            shown['armed_since'] = self._around.shown_time(arming.at)
            shown['parts'] = arming.shown
            if (next_at := arming.next_at) is not None:
                shown['next'] = rfc3339(next_at)
        shown |= {'fired': kept.fired, 'dropped': kept.dropped, 'damped': self._damping.total}
        if kept.last_firing is not None and kept.last_fired_at is not None:
            shown['last_fired'] = {
                'firing': kept.last_firing,
                'at': rfc3339(kept.last_fired_at),
                **({'execution': self._led_to} if self._led_to else {}),
                **({'dropped': self._last_drop} if self._last_drop else {}),
            }
        why_not = unarmed if arming is None else self._why_not(arming)
        return shown | ({'why_not': why_not} if why_not else {})

    def _why_not(self, arming: Arming) -> str:
        """Return why it does not fire at the moment."""
        if self._under_way:
            return 'its last firing is under way'
        now = self._around.clock.monotonic()
        until = self._damping.until(now)
        if self._damping.owes and until is not None:
            return (
                f'damped for another {until - now:.1f} s: at most one firing in '
                f'{self._damping.interval_sec:g} s'
            )
        if arming.truth is None:
            return 'it is not known whether the condition holds; each part says why'
        if not arming.truth:
            waits = self.trigger.condition.is_moment
            return 'it waits for its next moment' if waits else 'the condition does not hold'
        if self._fired_since_armed:
            return 'it has fired; it fires again once the condition did not hold in between'
        return 'the condition holds since it was armed; it fires once it did not hold in between'
