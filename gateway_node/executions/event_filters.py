# SPDX-License-Identifier: Apache-2.0
"""Which events of executions somebody wants to hear of."""

from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.events import EventKind
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.globs import paths_like
from gateway_node.executions.matching import matches
from gateway_node.executions.seen_events import SeenEvents
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.told_events import ToldEvent
from gateway_node.executions.values import Execution


class EventFilter:
    """Finds the events behind which an execution is among what a filter of executions finds, and
    those of anything else within its scope.

    Of one that was deleted nothing but its path is known: that is wanted where its path does not
    speak against it. What the log knows only in part is not wanted, as what is unknown never is.
    """

    def __init__(self, wanted: ExecutionFilter, store: ExecutionStore) -> None:
        self._wanted = wanted
        self._store = store
        self._seen = SeenEvents(wanted.scope, store.log)
        self._finds_all = wanted == ExecutionFilter()
        self._reads_parameters = bool(wanted.parameters) or wanted.result_contains is not None

    async def finds(self, told: ToldEvent) -> bool:
        """Tell whether an event that was read in the log is wanted; StoreUnavailable."""
        if self._finds_all:
            return True
        if not told.event.is_of_execution:
            return await self._seen.has(told.event)
        if told.event.kind is EventKind.EXECUTION_DELETED:
            return self._may_be_at(told) and await self._seen.has(told.event)
        if not told.is_whole:
            return False
        execution = execution_of(told.summary)
        if self._reads_parameters:
            # The log has none: what was given never changes, and a result comes with the end.
            record = await self._store.get(execution.id)
            if record is None:
                return False
            execution = execution.evolve(
                input_parameters=record.input_parameters,
                output_parameters=record.output_parameters if told.is_end else None,
            )
        return matches(self._wanted, execution)

    def is_to_be_read(self, told: ToldEvent) -> bool:
        """Whether it takes the log to tell whether an event is wanted: `finds` does."""
        return self._seen.is_to_be_read(told.event)

    def finds_now(self, told: ToldEvent, execution: Execution | None) -> bool:
        """Tell whether an event that has just happened is wanted, with the execution as it is;
        None where that is deleted, or it happened to something else."""
        if self._finds_all:
            return True
        if execution is not None:
            return self.finds_execution(execution)
        if not self._seen.has_now(told.event):
            return False
        return not told.event.is_of_execution or self._may_be_at(told)

    def finds_execution(self, execution: Execution) -> bool:
        """Tell whether what happens to an execution as it is now is wanted."""
        return self._finds_all or matches(self._wanted, execution)

    def _may_be_at(self, told: ToldEvent) -> bool:
        wanted, entity, script_id = self._wanted, told.summary['entity'], told.summary['script_id']
        return (
            (wanted.entity is None or wanted.entity.path == entity)
            and wanted.script_id in (None, script_id)
            and (wanted.entities is None or bool(paths_like(wanted.entities, [entity])))
            and (wanted.located is None or entity in {each.path for each in wanted.located})
        )
