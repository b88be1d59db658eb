# SPDX-License-Identifier: Apache-2.0
"""The groups that are open, those of an earlier gateway too; how their children stand the ledger
tells."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from gateway_node.clock import Clock
from gateway_node.executions.active_group import ActiveGroup
from gateway_node.executions.actors import Actor
from gateway_node.executions.events import Event
from gateway_node.executions.every_page import every_page
from gateway_node.executions.families import Families
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.places import GroupLimit
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution, StopAction, Trigger, TriggerType
from gateway_node.side_tasks import log_failure
from gateway_node.to_the_end import ToTheEnd

_PARENTS = 30
"""Whose children are looked for at a time."""


class ActiveGroups:
    """Holds the groups that are open; an EventListener, which hears of their children."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        ledger: Ledger,
        families: Families,
        clock: Clock,
        on_end: Callable[[Execution], None],
    ) -> None:
        """`on_end` is called with each group that has ended."""
        self._store = store
        self._ledger = ledger
        self._families = families
        self._clock = clock
        self._on_end = on_end
        self._to_the_end = ToTheEnd()
        self._groups: dict[str, ActiveGroup] = {}
        self._driving: set[asyncio.Task[None]] = set()

    def get(self, execution_id: str) -> ActiveGroup | None:
        """Return an open group, or None."""
        return self._groups.get(execution_id)

    def limit_of(self, child: Execution) -> GroupLimit | None:
        """Return the bound that a child's group sets; None where there is none."""
        group = self._group_of(child)
        return None if group is None else limit_of(group.execution)

    def expect(self, execution: Execution, children: Iterable[Execution]) -> None:
        """Hear of the children of a group that is being recorded with them."""
        self._groups[execution.id] = ActiveGroup(
            execution,
            {child.id: child for child in children},
            ledger=self._ledger,
            clock=self._clock,
        )

    def forget(self, execution_id: str) -> None:
        """Let go of a group that could not be recorded."""
        del self._groups[execution_id]

    def begin(self, execution_id: str) -> None:
        """Begin to drive a group that is on record."""
        driving = asyncio.create_task(self._drive(execution_id), name='drive a group')
        self._driving.add(driving)
        driving.add_done_callback(self._driving.discard)
        driving.add_done_callback(log_failure)

    async def restore(self, groups: Iterable[Execution]) -> None:
        """Take groups that an earlier gateway left, with how their children stand;
        `begin_restored` follows. StoreUnavailable."""
        for group in groups:
            self.expect(group, await self._children_of(group))

    def begin_restored(self) -> None:
        """Begin to drive what was restored; what a client had stopped ends with its children."""
        for group in [each.execution for each in self._groups.values()]:
            self.begin(group.id)
            if group.stop_accepted:
                self._families.stop_waiting(group)

    async def stop(
        self,
        group: ActiveGroup,
        action: StopAction,
        trigger: Trigger,
        actor: Actor,
        *,
        with_children: bool,
    ) -> bool:
        """Ask a group to end, and its children with it; False where it has ended. Cancelled, it is
        done all the same."""
        group_id = group.execution.id

        async def stop() -> bool:
            if not await group.stop(trigger, actor, with_children=with_children):
                return False
            if with_children:
                await self._families.stop_descendants(group_id, action, trigger, actor)
            return True

        return await self._to_the_end.run(f'stop {group_id}', stop())

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Tell a group how one of its children stands."""
        group = None if execution is None else self._group_of(execution)
        if group is not None and execution is not None:
            group.note(execution)

    async def close(self) -> None:
        """Wait for the ends of groups whose children have ended; the others stay open."""
        for group in self._groups.values():
            group.close()
        if self._driving:
            await asyncio.wait(self._driving)

    async def _drive(self, execution_id: str) -> None:
        group = self._groups[execution_id]
        try:
            await group.drive()
        finally:
            del self._groups[execution_id]
        self._on_end(group.execution)

    def _group_of(self, child: Execution) -> ActiveGroup | None:
        # A further attempt names the one before as its parent, and has the same ancestors.
        return self._groups.get(child.ancestors[0]) if child.ancestors else None

    async def _children_of(self, group: Execution) -> list[Execution]:
        """Return the children of a group, of each the last attempt."""
        found = {child.id: child for child in await self._naming([group.id])}
        failed = [child.id for child in found.values() if child.failure is not None]
        while failed:
            further = [
                each
                for each in await self._naming(failed)
                # Others are what the script of a child started.
                if each.trigger.type is TriggerType.SYSTEM
            ]
            for each in further:
                found.pop(str(each.parent), None)
                found[each.id] = each
            failed = [each.id for each in further if each.failure is not None]
        return list(found.values())

    async def _naming(self, parents: Sequence[str]) -> list[Execution]:
        """Return the executions that name one of these as their parent."""
        found: list[Execution] = []
        for first in range(0, len(parents), _PARENTS):
            wanted = ExecutionFilter(parents=frozenset(parents[first : first + _PARENTS]))
            async for each in every_page(self._store, wanted):
                found += each
        return found


def limit_of(group: Execution) -> GroupLimit | None:
    """Return the bound that a group sets on its children; None where it sets none."""
    if group.group is None or group.group.max_parallel is None:
        return None
    return GroupLimit(group_id=group.id, max_parallel=group.group.max_parallel)
