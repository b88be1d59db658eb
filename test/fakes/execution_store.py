# SPDX-License-Identifier: Apache-2.0
"""An execution store in memory.

It keeps to the same contract as the SQLite one: one suite of tests is put to both.
"""

from collections.abc import Mapping, Sequence

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    StoreUnavailable,
)
from gateway_node.executions.ports import (
    Change,
    ExecutionPage,
    RetentionPolicy,
)
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    Transition,
)


class InMemoryExecutionStore:
    """An `ExecutionStore` that forgets everything with the process."""

    def __init__(self, clock: Clock) -> None:
        self.unavailable: str | None = None
        """While set, every call raises StoreUnavailable with this message."""
        self.may_have_forgotten = False
        self._clock = clock
        self._executions: dict[str, Execution] = {}
        self._ended_at: dict[str, float] = {}
        self._transitions: list[Transition] = []
        self._sequence = 0
        self._last_id: str | None = None

    async def record(self, changes: Sequence[Change]) -> tuple[Transition, ...]:
        """Keep all of `changes`, or none; return the transitions of those that have a cause.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
            ValueError: the id of a new execution is taken.
        """
        self._check_available()
        known = set(self._executions)
        for change in changes:
            execution_id = change.execution.id
            if change.new and execution_id in known:
                raise ValueError(f'{execution_id} is in the store already')
            if not change.new and execution_id not in known:
                raise ExecutionNotFound(execution_id)
            known.add(execution_id)
        return tuple(
            transition for change in changes if (transition := self._keep(change)) is not None
        )

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""
        self._check_available()
        return self._executions.get(execution_id)

    async def page(
        self, entity: EntityRef, script_id: str, *, limit: int, before: str | None = None
    ) -> ExecutionPage:
        """Return up to `limit` executions of one script with ids below `before`, newest first.

        They come without their input and output parameters.
        """
        self._check_available()
        found = [
            execution.evolve(input_parameters={}, output_parameters=None)
            for execution in self._by_id(reverse=True)
            if execution.entity == entity
            and execution.script_id == script_id
            and (before is None or execution.id < before)
        ]
        return ExecutionPage(executions=tuple(found[:limit]), more=len(found) > limit)

    async def remove(self, execution_id: str) -> None:
        """Remove an ended execution and its transitions; ExecutionNotDeletable for an open one,
        nothing happens where it is unknown."""
        self._check_available()
        execution = self._executions.get(execution_id)
        if execution is None:
            return
        if execution.is_open:
            raise ExecutionNotDeletable(execution_id, execution.status)
        del self._executions[execution_id], self._ended_at[execution_id]
        self._transitions = [t for t in self._transitions if t.execution_id != execution_id]

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, oldest first."""
        self._check_available()
        return tuple(execution for execution in self._by_id() if execution.is_open)

    async def transitions(self, *, after: int, limit: int) -> tuple[Transition, ...]:
        """Return up to `limit` transitions with a sequence above `after`, in sequence."""
        self._check_available()
        return tuple([t for t in self._transitions if t.sequence > after][:limit])

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids that `policy` does not keep, the longest ended first."""
        self._check_available()
        now = self._clock.monotonic()
        ended = sorted(self._ended_at, key=lambda each: (self._ended_at[each], each))
        surplus = len(ended) - policy.max_executions if policy.max_executions else 0
        expired = []
        for rank, execution_id in enumerate(ended):
            failed = self._executions[execution_id].status is ExecutionStatus.FAILED
            max_age = policy.max_failed_age_sec if failed else policy.max_age_sec
            too_old = max_age > 0 and now - self._ended_at[execution_id] > max_age
            if rank < surplus or too_old:
                expired.append(execution_id)
        return tuple(expired[:limit])

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        self._check_available()
        counts = dict.fromkeys(ExecutionStatus, 0)
        for execution in self._executions.values():
            counts[execution.status] += 1
        return counts

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""
        self._check_available()
        return self._last_id

    async def entities(self) -> frozenset[EntityRef]:
        """Return the entities of all executions."""
        self._check_available()
        return frozenset(execution.entity for execution in self._executions.values())

    async def shrink(self) -> None:
        """Do nothing: there is nothing to give back."""
        self._check_available()

    async def close(self) -> None:
        """Refuse everything from now on."""
        self.unavailable = 'the store is closed'

    def _check_available(self) -> None:
        if self.unavailable is not None:
            raise StoreUnavailable(self.unavailable)

    def _keep(self, change: Change) -> Transition | None:
        execution = change.execution
        self._executions[execution.id] = execution
        if change.new:
            self._last_id = max(self._last_id or '', execution.id)
        if not execution.is_open:
            self._ended_at.setdefault(execution.id, self._clock.monotonic())
        return None if change.cause is None else self._append(execution, change.cause)

    def _append(self, execution: Execution, cause: str) -> Transition:
        self._sequence += 1
        transition = Transition(
            sequence=self._sequence,
            execution_id=execution.id,
            status=execution.status,
            at=execution.completed_at or execution.started_at or execution.created_at,
            cause=cause,
        )
        self._transitions.append(transition)
        return transition

    def _by_id(self, *, reverse: bool = False) -> list[Execution]:
        return [self._executions[each] for each in sorted(self._executions, reverse=reverse)]
