# SPDX-License-Identifier: Apache-2.0
"""Preconditions, looked at on the robot: before a start, and as long as a script runs."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import dataclass
import json
from typing import TYPE_CHECKING

from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.preconditions import Standing
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.watches import Watches

if TYPE_CHECKING:
    from gateway_node.conditions.values import Precondition
    from gateway_node.triggers.watched_precondition import WatchedPrecondition

LINGER_SEC = 30.0
"""How long something is watched on after the last start that looked: who comes next, or holds it
then, need not wait for its values again. A proof of proximity, which comes between, takes less."""

_Key = tuple[str, float]


@dataclass(kw_only=True, eq=False)
class _Shared:
    watched: 'WatchedPrecondition'
    users: int = 0


class Preconditions:
    """A PreconditionCheck: however many look at the same, it is watched once."""

    def __init__(
        self,
        *,
        watches: Watches,
        timers: Timers,
        monotonic: Callable[[], float],
        of_instance: 'Callable[[InstanceRef], Sequence[Precondition]]',
    ) -> None:
        """`of_instance` knows the preconditions of an instance; none where it is gone."""
        self._watches = watches
        self._timers = timers
        self._monotonic = monotonic
        self._of_instance = of_instance
        self._shared: dict[_Key, _Shared] = {}

    def of_instance(self, ref: InstanceRef) -> 'Sequence[Precondition]':
        """Return the preconditions of an instance; none where it is gone."""
        return self._of_instance(ref)

    async def look(
        self, preconditions: 'Sequence[Precondition]', *, patience_sec: float = 0.0
    ) -> Sequence[Standing]:
        """Return how each of these stands; see `PreconditionCheck.look`."""
        until = self._monotonic() + patience_sec
        with contextlib.ExitStack() as uses:
            watched = [uses.enter_context(self._using(each)) for each in preconditions]
            while True:
                for each in watched:
                    await each.settled(until)
                # While the last was waited for the first may have changed.
                if all(each.is_met for each in watched) or self._monotonic() >= until:
                    return [each.standing() for each in watched]

    def hold(
        self, precondition: 'Precondition', on_lost: Callable[[Standing], None]
    ) -> Callable[[], None]:
        """Call `on_lost` once it does not hold; see `PreconditionCheck.hold`."""
        undo = contextlib.ExitStack()
        watched = undo.enter_context(self._using(precondition))
        is_held = True

        def end() -> None:
            nonlocal is_held
            is_held = False
            undo.close()

        def look() -> None:
            if is_held and not watched.is_met and not watched.is_undecided:
                end()
                on_lost(watched.standing())

        undo.callback(watched.add_listener(look))
        # It may not hold already, of which nothing tells.
        undo.callback(self._timers.set, undo, None, look)
        self._timers.set(undo, self._monotonic(), look)
        return end

    def close(self) -> None:
        """Watch nothing any more."""
        for key, shared in tuple(self._shared.items()):
            self._timers.set((self, key), None, shared.watched.end)
            shared.watched.end()
        self._shared.clear()

    @contextlib.contextmanager
    def _using(self, precondition: 'Precondition') -> 'Iterator[WatchedPrecondition]':
        document = json.dumps(precondition.condition.document, sort_keys=True)
        key = (document, precondition.max_age_sec)
        shared = self._shared.get(key)
        if shared is None:
            # Loaded with the first precondition.
            from gateway_node.triggers.watched_precondition import WatchedPrecondition

            watched = WatchedPrecondition(
                precondition, self._watches, self._timers, self._monotonic
            )
            shared = self._shared[key] = _Shared(watched=watched)
        shared.users += 1
        try:
            yield shared.watched
        finally:
            shared.users -= 1
            lingers = self._monotonic() + LINGER_SEC
            self._timers.set((self, key), lingers, lambda: self._let_go(key, shared))

    def _let_go(self, key: _Key, shared: _Shared) -> None:
        if not shared.users and self._shared.get(key) is shared:
            del self._shared[key]
            shared.watched.end()
