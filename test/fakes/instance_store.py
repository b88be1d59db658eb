# SPDX-License-Identifier: Apache-2.0
"""An instance store in memory.

It keeps to the same contract as the SQLite one: one suite of tests is put to both.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
import datetime

from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.instance_refs import (
    InstanceRef,
    KeptInstance,
    PendingFiring,
    TriggerRef,
    TriggerState,
)


class InMemoryInstanceStore:
    """An `InstanceStore` that forgets everything with the process.

    The execution store of the same process tells it what was recorded.
    """

    def __init__(self, check_available: Callable[[], None], up_sec: Callable[[], float]) -> None:
        """`check_available` raises StoreUnavailable where a test wants that."""
        self._check_available = check_available
        self._up_sec = up_sec
        self._instances: dict[InstanceRef, KeptInstance] = {}
        self._pending: dict[int, PendingFiring] = {}
        self._states: dict[TriggerRef, TriggerState] = {}
        self._ends_seen: int | None = None

    async def instances(self) -> tuple[KeptInstance, ...]:
        """Return all that are kept, in the order of their subjects."""
        self._check_available()
        return tuple(sorted(self._instances.values(), key=lambda each: each.ref.subject))

    async def pending_firings(self) -> Mapping[int, PendingFiring]:
        """Return what fired and led to nothing yet, by the sequences of the events, in order."""
        self._check_available()
        return dict(sorted(self._pending.items()))

    async def trigger_states(self) -> Mapping[TriggerRef, TriggerState]:
        """Return what is kept of triggers."""
        self._check_available()
        return dict(self._states)

    async def keep_truths(
        self,
        truths: Mapping[TriggerRef, bool | None],
        at: datetime.datetime,
        *,
        ends_seen: int | None = None,
    ) -> None:
        """Keep the last truths of conditions, that they were looked at, and up to where the ends
        of executions were."""
        self._check_available()
        if ends_seen is not None:
            self._ends_seen = ends_seen
        for trigger, truth in truths.items():
            self._change(trigger, truth=self._known(trigger, truth), seen_at=at)

    async def ends_seen(self) -> int | None:
        """Return up to where the ends of executions in the log were looked at."""
        self._check_available()
        return self._ends_seen

    async def keep_only(self, triggers: Collection[TriggerRef]) -> None:
        """Forget the states of all others."""
        self._check_available()
        self._states = {each: self._states[each] for each in self._states.keys() & set(triggers)}

    def note(self, news: Change | Happening, event: Event) -> None:
        """Take what was recorded."""
        if isinstance(news, Change):
            self._settle_with(news)
            return
        if (instance := news.instance) is not None:
            self._keep(instance)
        if (fired := news.fires) is not None:
            self._pending[event.sequence] = fired
            state = self._states.get(fired.trigger, TriggerState())
            self._change(
                fired.trigger,
                truth=self._known(fired.trigger, fired.truth),
                fired=state.fired + 1,
                last_firing=event.sequence,
                last_fired_at=event.at,
                seen_at=event.at,
                fired_up_sec=self._up_sec(),
            )
        if news.settles is not None:
            settled = self._pending.pop(news.settles, None)
            if settled is not None and settled.trigger in self._states:
                dropped = self._states[settled.trigger].dropped + 1
                self._change(settled.trigger, dropped=dropped)

    def _keep(self, instance: KeptInstance) -> None:
        if instance.document is None:
            self._instances.pop(instance.ref, None)
        else:
            self._instances[instance.ref] = instance
        self._states = {
            trigger: state
            for trigger, state in self._states.items()
            if trigger.instance != instance.ref or trigger.condition in instance.stays
        }

    def _settle_with(self, change: Change) -> None:
        for trigger in (change.execution.trigger, change.execution.stop_trigger):
            if trigger is not None and trigger.firing is not None:
                self._pending.pop(trigger.firing, None)

    def _known(self, trigger: TriggerRef, truth: bool | None) -> bool | None:
        known = self._states.get(trigger, TriggerState()).truth
        return known if truth is None else truth

    def _change(self, trigger: TriggerRef, **changes: object) -> None:
        state = self._states.get(trigger, TriggerState())
        self._states[trigger] = replace(state, **changes)  # type: ignore[arg-type]
