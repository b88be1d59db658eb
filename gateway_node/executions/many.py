# SPDX-License-Identifier: Apache-2.0
"""One action on all executions that a filter finds, each as if it were asked for by itself."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
import enum

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.again import repetition_of
from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.errors import ExecutionNotStoppable
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage, MAX_LIMIT
from gateway_node.executions.questions import Questions
from gateway_node.executions.scopes import Scope
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.summary_texts import SummaryText
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    FINAL_STATUSES,
    OPEN_STATUSES,
    StopAction,
)

MAX_EXECUTIONS = MAX_LIMIT
"""That one request acts on."""
_AT_ONCE = 50
"""Stops of executions that resist take a second each, and share it."""


class Action(enum.Enum):
    """What can be done to many."""

    STOP = 'stop'
    """Of those that are open, schedules among them; with those that their scripts started."""
    FORCED_TERMINATION = 'forced_termination'
    """The same, at once."""
    DELETE = 'delete'
    """Of those that have ended."""
    RETRY = 'retry'
    """Of those that have ended, the oldest first."""

    @property
    def concerns(self) -> frozenset[ExecutionStatus]:
        """The statuses of the executions that it can be done to."""
        stops = self in (Action.STOP, Action.FORCED_TERMINATION)
        return OPEN_STATUSES if stops else FINAL_STATUSES


@dataclass(frozen=True, kw_only=True)
class ActedOn:
    """What came of it for one execution."""

    entity: EntityRef
    script_id: str
    execution_id: str
    error: Exception | None = None
    """Why nothing was done."""
    again: Execution | None = None
    """What a retry started."""


@dataclass(frozen=True, kw_only=True)
class Acted:
    """What came of it for all."""

    executions: tuple[ActedOn, ...]
    """Newest first."""
    truncated: bool
    """Whether there may be more that match."""


class Many:
    """Acts on many executions."""

    def __init__(self, service: ExecutionService, questions: Questions) -> None:
        self._service = service
        self._questions = questions

    def seen_by(self, scope: Scope) -> 'Many':
        """Return what acts on what is within a scope."""
        return Many(self._service, self._questions.seen_by(scope))

    async def find(self, action: Action, wanted: ExecutionFilter) -> Acted:
        """Return what would be acted on; StoreUnavailable."""
        statuses = action.concerns if wanted.statuses is None else wanted.statuses
        concerned = replace(wanted, statuses=statuses & action.concerns)
        found: list[SummaryText] = []
        page = await self._questions.find(concerned, KeysetPage(limit=-MAX_EXECUTIONS))
        found += page.executions
        # What bounds a search keeps no list waiting; here all that match are meant.
        while page.more is not None and len(found) < MAX_EXECUTIONS:
            rest = KeysetPage(limit=len(found) - MAX_EXECUTIONS, reference=page.more)
            page = await self._questions.find(concerned, rest)
            found += page.executions
        return Acted(executions=tuple(map(_of, found)), truncated=page.more is not None)

    async def act(
        self,
        action: Action,
        wanted: ExecutionFilter,
        *,
        actor: Actor,
        confirmed: Confirmed = False,
    ) -> Acted:
        """Act on what is wanted; StoreUnavailable where it cannot be found.

        What is amiss with one keeps nothing from the others. `confirmed` as in a start, of what is
        started again; nobody proves to be beside the robot for many, so no codes are shown.
        """
        found = await self.find(action, wanted)
        turns = asyncio.Semaphore(1 if action is Action.RETRY else _AT_ONCE)

        async def act_on(one: ActedOn) -> ActedOn:
            async with turns:
                try:
                    return await self._act_on(one, action, actor, confirmed=confirmed)
                except Exception as error:
                    return replace(one, error=error)

        oldest_first: Iterable[ActedOn] = reversed(found.executions)
        acted = await asyncio.gather(*map(act_on, oldest_first))
        return replace(found, executions=tuple(reversed(acted)))

    async def _act_on(
        self, one: ActedOn, action: Action, actor: Actor, *, confirmed: Confirmed
    ) -> ActedOn:
        entity, script_id, execution_id = one.entity, one.script_id, one.execution_id
        match action:
            case Action.DELETE:
                await self._service.delete(entity, script_id, execution_id, actor=actor)
            case Action.RETRY:
                execution = await self._questions.get(entity, script_id, execution_id)
                wish = replace(repetition_of(execution), confirmed=confirmed, attended=False)
                again = await self._service.start(entity, script_id, wish, actor=actor)
                return replace(one, again=again)
            case Action.STOP | Action.FORCED_TERMINATION:
                await self._stop(one, StopAction(action.value), actor)
        return one

    async def _stop(self, one: ActedOn, action: StopAction, actor: Actor) -> None:
        try:
            await self._service.stop(
                one.entity, one.script_id, one.execution_id, action, actor=actor
            )
        except ExecutionNotStoppable as error:
            # It was open, and was stopped with its parent, or by another client.
            if error.status is not ExecutionStatus.TERMINATED:
                raise


def _of(found: SummaryText) -> ActedOn:
    return ActedOn(
        entity=EntityRef.from_path(found.entity),
        script_id=found.script_id,
        execution_id=found.execution_id,
    )
