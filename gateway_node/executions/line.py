# SPDX-License-Identifier: Apache-2.0
"""The line: places within the limits, and who waits for one, in order.

Synchronous where nobody waits: no two can have the last place. It knows limits and order, and
asks nobody anything.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
)
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.scripts.values import Script

_LOOK_SEC = 1.0
"""Between looks whether what an execution left has ended: nobody tells."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What counts of an execution that is open, or wants to be."""

    execution_id: str
    entity: EntityRef
    script: Script


class Line:
    """Gives places to executions; each has its own until it leaves."""

    def __init__(self, limits: ConcurrencyLimits, held_scripts: HeldScripts) -> None:
        self._limits = limits
        self._held_scripts = held_scripts
        self._taken: dict[str, Place] = {}
        self._waiting: dict[str, tuple[Place, asyncio.Future[None]]] = {}
        self._looking: asyncio.TimerHandle | None = None

    def take(self, place: Place) -> None:
        """Take a place, or, for whoever has one, see whether it fits the script as it is now.

        Raises:
            ScriptAlreadyRunning, ConcurrencyLimitReached: there is none; who had one keeps it.
        """
        self._let_in()
        self._check(place)
        self._taken[place.execution_id] = place

    def join(self, place: Place) -> 'asyncio.Future[None]':
        """Take a place, or stand in line for one; return what is done once there is one.

        Whom the limits allow in first is let in first, and of several the one who came first.
        """
        turn = asyncio.get_running_loop().create_future()
        try:
            self.take(place)
        except (ScriptAlreadyRunning, ConcurrencyLimitReached):
            self.leave(place.execution_id)
            self._waiting[place.execution_id] = place, turn
            self._look_again()
        else:
            turn.set_result(None)
        return turn

    def waits(self, execution_id: str) -> bool:
        """Tell whether an execution stands in line."""
        return execution_id in self._waiting

    def leave(self, execution_id: str) -> None:
        """Free the place of an execution, or take it out of the line; harmless where it has
        neither."""
        self._waiting.pop(execution_id, None)
        if self._taken.pop(execution_id, None) is not None:
            self._let_in()

    def _let_in(self) -> None:
        if not self._waiting:
            return
        for place, turn in tuple(self._waiting.values()):
            if len(self._taken) >= self._limits.max_executions:
                break
            try:
                self._check(place)
            except (ScriptAlreadyRunning, ConcurrencyLimitReached):
                continue
            del self._waiting[place.execution_id]
            if not turn.done():
                self._taken[place.execution_id] = place
                turn.set_result(None)
        self._look_again()

    def _check(self, place: Place) -> None:
        script, limits = place.script, self._limits
        others = [each for each in self._taken.values() if each.execution_id != place.execution_id]
        of_entity = [other for other in others if other.entity == place.entity]
        if script.single_execution:
            for other in of_entity:
                if other.script.id == script.id:
                    raise ScriptAlreadyRunning(script.id, other.execution_id)
        if len(of_entity) >= limits.max_executions_per_entity:
            raise ConcurrencyLimitReached(
                'scripts.max_concurrent_executions_per_entity', limits.max_executions_per_entity
            )
        if len(others) >= limits.max_executions:
            raise ConcurrencyLimitReached(
                'scripts.max_concurrent_executions', limits.max_executions
            )
        self._held_scripts.check(place.entity, script)

    def _look_again(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._waiting and self._held_scripts.any_lives():
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(_LOOK_SEC, self._let_in)


class SchedulePlaces:
    """The limit on schedules that wait for a start of the gateway; there is no line for these."""

    def __init__(self, limit: int) -> None:
        """`limit` 0 sets none."""
        self._limit = limit
        self._taken: set[str] = set()

    def take(self, schedule_id: str) -> None:
        """Take a place; taking it again is harmless. ScheduleLimitReached where there is none."""
        if self._limit and len(self._taken - {schedule_id}) >= self._limit:
            raise ScheduleLimitReached(self._limit)
        self._taken.add(schedule_id)

    def restore(self, schedule_ids: Iterable[str]) -> None:
        """Take the schedules of earlier gateways, however many they are."""
        self._taken.update(schedule_ids)

    def leave(self, schedule_id: str) -> None:
        """Free the place of a schedule; harmless where it has none."""
        self._taken.discard(schedule_id)
