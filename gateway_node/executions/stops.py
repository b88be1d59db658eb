# SPDX-License-Identifier: Apache-2.0
"""Clients, and triggers of instances, have executions end: schedules that wait, groups, and what
is active."""

import asyncio
from collections.abc import Awaitable
import contextlib

from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.active_group import ActiveGroup
from gateway_node.executions.active_groups import ActiveGroups
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import ExecutionNotStoppable, StoreUnavailable
from gateway_node.executions.families import Families
from gateway_node.executions.questions import Questions
from gateway_node.executions.schedules import Schedules
from gateway_node.executions.values import Execution, StopAction, Trigger, TriggerType

STOP_WAIT_SEC = 1.0
"""Seconds that a stop waits for the tree to go before it answers."""


class Stops:
    """Asks for an end, and waits a moment for it."""

    def __init__(
        self,
        *,
        active: ActiveExecutions,
        groups: ActiveGroups,
        schedules: Schedules,
        families: Families,
        questions: Questions,
    ) -> None:
        self._active = active
        self._groups = groups
        self._schedules = schedules
        self._families = families
        self._questions = questions

    async def stop(
        self,
        execution: Execution,
        action: StopAction,
        actor: Actor,
        *,
        with_children: bool,
        trigger: Trigger | None = None,
    ) -> Execution:
        """End an execution; wait a moment for its tree to go, then return it as it is.

        Raises what `ExecutionService.stop` says.
        """
        if trigger is None:
            trigger = Trigger(type=TriggerType.MANUAL, setting=action.value, username=actor.name)
        group = self._groups.get(execution.id)
        if group is not None:
            asking = self._groups.stop(group, action, trigger, actor, with_children=with_children)
            return await self._ended(group, asking)
        active = self._active.get(execution.id)
        if active is None and execution.is_schedule:
            ended = await self._schedules.stop(execution.id, trigger, actor)
            if ended is not None:
                return ended
            # It became an execution meanwhile, or has ended.
            active = self._active.get(execution.id)
        if active is None:
            execution = await self._questions.get_by_id(execution.id)
            if execution.is_open:
                raise StoreUnavailable(f'{execution.id} is over, and its end is not on record')
            raise ExecutionNotStoppable(execution.id, execution.status)
        asking = self._families.stop(active, action, trigger, actor, with_children=with_children)
        return await self._ended(active, asking)

    async def _ended(
        self, stopping: ActiveExecution | ActiveGroup, asking: Awaitable[bool]
    ) -> Execution:
        """Ask for the end, and wait a moment for it.

        ExecutionNotStoppable where it had ended; StoreUnavailable where nothing knows of the stop
        but this gateway.
        """
        accepted = await asking
        # Past the wait it resists: the answer then says `terminating`.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_SEC):
                await stopping.wait_ended()
        execution = stopping.execution
        if not accepted:
            raise ExecutionNotStoppable(execution.id, execution.status)
        if not stopping.stop_holds:
            raise StoreUnavailable(f'the stop of {execution.id} is not recorded yet')
        return execution
