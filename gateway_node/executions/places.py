# SPDX-License-Identifier: Apache-2.0
"""The places within the limits: who has one, and whether there is one for another.

A child does not count where one of its ancestors has a place: not in the limit on all, and not in
that of an entity on which an ancestor has one. An ancestor may wait for it, so it must get in.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ConcurrencyLimitReached, ScriptAlreadyRunning
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.scripts.values import DEFAULT_PRIORITY, Script


@dataclass(frozen=True, kw_only=True)
class GroupLimit:
    """How many executions of a group may be open at a time."""

    group_id: str
    max_parallel: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """What counts of an execution that is open, or wants to be."""

    execution_id: str
    """Ids grow, over restarts too: they are the order in which executions came."""
    entity: EntityRef
    script: Script
    priority: int = DEFAULT_PRIORITY
    group: GroupLimit | None = None
    ancestors: tuple[str, ...] = ()
    """The ids of its parent, of that one's parent, and so on; whether they have places or not."""


class Places:
    """Who has a place, and whether there is one for another."""

    def __init__(self, limits: ConcurrencyLimits, held_scripts: HeldScripts) -> None:
        self._limits = limits
        self._held_scripts = held_scripts
        self._taken: dict[str, Place] = {}

    def get(self, execution_id: str) -> Place | None:
        """Return the place of an execution, or None."""
        return self._taken.get(execution_id)

    def give(self, place: Place) -> None:
        """Give a place, or give it in place of the one that the execution has."""
        self._taken[place.execution_id] = place

    def free(self, execution_id: str) -> bool:
        """Free the place of an execution; tell whether it had one."""
        return self._taken.pop(execution_id, None) is not None

    @property
    def full(self) -> bool:
        """True where nobody gets in but children of who has a place."""
        limit = self._limits.max_executions
        return len(self._taken) >= limit and self._counted(self._taken.values()) >= limit

    @property
    def full_entities(self) -> frozenset[EntityRef]:
        """The entities on which nobody gets in but whom others started."""
        counted = Counter(
            each.entity
            for each in self._taken.values()
            if not each.ancestors or not self._is_in_anothers(each, each.entity)
        )
        limit = self._limits.max_executions_per_entity
        return frozenset(entity for entity, count in counted.items() if count >= limit)

    def check(self, place: Place, waiting: Iterable[Place]) -> None:
        """Return where there is a place, whoever else is `waiting` for one.

        Raises:
            ScriptAlreadyRunning, ConcurrencyLimitReached: as their names say.
        """
        for refusal in self.refusals(place, waiting):
            raise refusal

    def refusals(self, place: Place, waiting: Iterable[Place]) -> Iterator[Exception]:
        """Yield all for which there is no place, in the order in which `check` looks."""
        others = [each for each in self._taken.values() if each.execution_id != place.execution_id]
        of_entity = [other for other in others if other.entity == place.entity]
        yield from single_refusals(place, of_entity)
        if place.group is not None and self._group_is_full(place.group, others):
            yield ConcurrencyLimitReached('max_parallel', place.group.max_parallel)
        limits = self._limits
        if self._entity_is_full(place, of_entity, waiting):
            yield ConcurrencyLimitReached(
                'scripts.max_concurrent_executions_per_entity', limits.max_executions_per_entity
            )
        if (
            len(others) >= limits.max_executions
            and not self._is_in_anothers(place)
            and self._counted(others) >= limits.max_executions
        ):
            yield ConcurrencyLimitReached(
                'scripts.max_concurrent_executions', limits.max_executions
            )
        try:
            self._held_scripts.check(place.entity, place.script)
        except ScriptAlreadyRunning as error:
            yield error

    def _group_is_full(self, group: GroupLimit, others: Iterable[Place]) -> bool:
        of_group = sum(
            other.group is not None and other.group.group_id == group.group_id for other in others
        )
        return of_group >= group.max_parallel

    def _entity_is_full(
        self, place: Place, of_entity: list[Place], waiting: Iterable[Place]
    ) -> bool:
        entity, limit = place.entity, self._limits.max_executions_per_entity
        if len(of_entity) < limit or self._is_in_anothers(place, entity):
            return False
        counted = [other for other in of_entity if not self._is_in_anothers(other, entity)]
        if len(counted) < limit:
            return False
        if not self._is_in_anothers(place):
            return True
        # Two parents with children on each other's entity would wait for ever.
        awaited = {ancestor for each in (place, *waiting) for ancestor in each.ancestors}
        return not all(other.execution_id in awaited for other in counted)

    def _counted(self, places: Iterable[Place]) -> int:
        return sum(not self._is_in_anothers(each) for each in places)

    def _is_in_anothers(self, place: Place, entity: EntityRef | None = None) -> bool:
        """Tell whether an ancestor has a place, on that entity where one is given."""
        for ancestor in place.ancestors:
            held = self._taken.get(ancestor)
            if held is not None and (entity is None or held.entity == entity):
                return True
        return False


def single_refusals(place: Place, others: Iterable[Place]) -> Iterator[ScriptAlreadyRunning]:
    """Yield the refusal of a script that allows one execution, where another one of it is among
    the others."""
    if place.script.single_execution:
        for other in others:
            if (other.entity, other.script.id) == (place.entity, place.script.id):
                yield ScriptAlreadyRunning(place.script.id, other.execution_id)
                return
