# SPDX-License-Identifier: Apache-2.0
"""Executions that scripts start: which may be, of which they are, and which end with them.

A parent is an execution whose script runs here; its children name it, and theirs them. All that
an open child is asked for stands in its record, so that nothing is kept here but who is on the way
in.
"""

import asyncio
from collections.abc import Iterator
import contextlib

from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import (
    ChildLimitReached,
    ExecutionNotFound,
    GenerationLimitReached,
    ParentNotRunning,
)
from gateway_node.executions.values import Execution, StopAction, Trigger
from gateway_node.to_the_end import ToTheEnd

MAX_OPEN_CHILDREN = 20
"""Of one parent."""
MAX_GENERATIONS = 3
"""Below an execution that has no parent: its children, theirs, and theirs."""


class Families:
    """Says who may have children, and who descends from whom."""

    def __init__(self, active: ActiveExecutions) -> None:
        self._active = active
        self._to_the_end = ToTheEnd()
        self._expected: dict[str, tuple[str, ...]] = {}
        """The ancestors of children that are being let in, by their ids."""
        self._refused: set[str] = set()
        """Those of them that are not to be, for an ancestor was asked to end with its children."""

    def ancestors_of_child(self, parent_id: str | None) -> tuple[str, ...]:
        """Return the ancestors of a child that an execution is to have; none without a parent.

        Raises:
            ParentNotRunning, ChildLimitReached, GenerationLimitReached: as their names say.
        """
        if parent_id is None:
            return ()
        parent = self._active.get(parent_id)
        if parent is None or not parent.may_have_children:
            raise ParentNotRunning(parent_id)
        ancestors = (parent_id, *parent.ancestors)
        if len(ancestors) > MAX_GENERATIONS:
            raise GenerationLimitReached(parent_id, MAX_GENERATIONS)
        if self._open_children(parent_id) >= MAX_OPEN_CHILDREN:
            raise ChildLimitReached(parent_id, MAX_OPEN_CHILDREN)
        parent.has_children = True
        return ancestors

    def asking(self, actor: Actor, ancestors: tuple[str, ...]) -> Actor:
        """Return as whom an execution is asked for: by a script, as who had that one started.

        A credential of an execution says so itself. Where nobody is authenticated, whoever names
        a parent passes for its script.
        """
        if actor.name is not None or not ancestors:
            return actor
        parent = self._active.get(ancestors[0])
        return actor if parent is None or parent.asked_by is None else parent.asked_by

    @contextlib.contextmanager
    def expecting(self, child_id: str, ancestors: tuple[str, ...]) -> Iterator[None]:
        """Count a child of these ancestors that is being let in, until it is active."""
        if not ancestors:
            yield
            return
        self._expected[child_id] = ancestors
        try:
            yield
        finally:
            del self._expected[child_id]
            self._refused.discard(child_id)

    def check(self, child_id: str) -> None:
        """Raise ParentNotRunning where a child that was let in is to end before it begins."""
        if child_id in self._refused:
            raise ParentNotRunning(self._expected[child_id][0])

    async def stop(
        self,
        active: ActiveExecution,
        action: StopAction,
        trigger: Trigger,
        actor: Actor,
        *,
        with_children: bool,
    ) -> bool:
        """Ask an execution to end, and all that descend from it where they are to end with it.

        False where its final status is decided already, and then they go on. Cancelled, it is
        done all the same.
        """
        if not with_children or not active.has_children:
            return await active.record_and_stop(action, trigger, actor)

        async def stop() -> bool:
            accepted = await active.record_and_stop(action, trigger, actor)
            if accepted:
                await self.stop_descendants(active.id, action, trigger, actor)
            return accepted

        return await self._to_the_end.run(f'stop {active.id}', stop())

    async def stop_descendants(
        self, ancestor_id: str, action: StopAction, trigger: Trigger, actor: Actor
    ) -> None:
        """Ask all that descend from an execution to end."""
        asked: set[str] = set()
        # Until it is asked to end itself, a child may have further ones.
        while left := [each for each in self._call_off(ancestor_id) if each.id not in asked]:
            asked.update(each.id for each in left)
            await asyncio.gather(*(_stop_recorded(each, action, trigger, actor) for each in left))

    def descendants(self, ancestor_id: str) -> list[Execution]:
        """Return the active executions that descend from one."""
        return [each.execution for each in self._active_below(ancestor_id)]

    def lose_below(self, ancestor_id: str) -> None:
        """Let all that descends from an execution end for what that one lost: the robot is not as
        it has to be for any of it."""
        for each in self._call_off(ancestor_id):
            each.lose()

    def stop_waiting(self, group: Execution) -> None:
        """Let what descends from a group end that a client had stopped with it, and that the
        gateway did not live to stop."""
        trigger = group.stop_trigger
        for each in self._call_off(group.id):
            if trigger is not None:
                each.stop(StopAction.STOP, trigger, GATEWAY)

    def _call_off(self, ancestor_id: str) -> list[ActiveExecution]:
        """Refuse the descendants that are on their way in; return those that are active."""
        self._refused |= {
            child_id for child_id, ancestors in self._expected.items() if ancestor_id in ancestors
        }
        return self._active_below(ancestor_id)

    def _active_below(self, ancestor_id: str) -> list[ActiveExecution]:
        return [each for each in self._active.all() if ancestor_id in each.ancestors]

    def _open_children(self, parent_id: str) -> int:
        active = {each.id for each in self._active.all() if each.ancestors[:1] == (parent_id,)}
        expected = {
            child_id for child_id, (parent, *_) in self._expected.items() if parent == parent_id
        }
        return len(active | expected)


async def _stop_recorded(
    active: ActiveExecution, action: StopAction, trigger: Trigger, actor: Actor
) -> None:
    # Where its record was still under way, and failed, there is nothing to be stopped.
    with contextlib.suppress(ExecutionNotFound):
        if not await active.record_and_stop(action, trigger, actor):
            active.stop_following(action, trigger, actor)
