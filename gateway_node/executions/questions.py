# SPDX-License-Identifier: Apache-2.0
"""What can be asked of executions, open or ended, and of their outputs; it changes nothing.

It lives on the event loop. The store knows all executions, and what is open is known better here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
import contextlib
import copy
from dataclasses import replace

from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.active_groups import ActiveGroups
from gateway_node.executions.child_counts import ChildCounts, NO_CHILDREN
from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.documents import beside_summary, Summary, to_document
from gateway_node.executions.ended_details import Detail, detail_of, EndedDetails
from gateway_node.executions.errors import ExecutionNotFound
from gateway_node.executions.every_page import every_page
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group import is_outdated
from gateway_node.executions.held_pages import HeldPages
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.output_lines import OutputStream
from gateway_node.executions.output_pages import LinesWanted, OutputPage, read_page
from gateway_node.executions.pages import FoundNumberedPage, FoundPage, KeysetPage, NumberedPage
from gateway_node.executions.ports import InstanceVersions
from gateway_node.executions.runner_ports import ScriptRunner
from gateway_node.executions.schedules import Schedules
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.summary_texts import parts_of, SummaryText
from gateway_node.executions.values import Execution, ExecutionStatus, OPEN_STATUSES
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Verdict

_OPEN = frozenset(status.value for status in OPEN_STATUSES)


class Questions:
    """Answers what is asked of the executions of this gateway."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        store: ExecutionStore,
        runner: ScriptRunner,
        ids: ExecutionIds,
        active: ActiveExecutions,
        groups: ActiveGroups,
        schedules: Schedules,
        details: EndedDetails,
        positions: Callable[[], Mapping[str, int]],
        instances: InstanceVersions,
    ) -> None:
        """`details` hears of what makes them wrong, before who did it hears that it is done.

        `positions` tells where in line each execution stands that waits.
        """
        self._library = library
        self._store = store
        self._outputs = runner.outputs
        self._ids = ids
        self._active = active
        self._groups = groups
        self._schedules = schedules
        self._details = details
        self._positions = positions
        self.instances = instances
        self._scope = EVERYTHING
        self.artifacts = runner.artifacts
        """What ended executions left."""
        self._pages = HeldPages(store.log, self._find_page)
        self._numbered_pages = HeldPages(store.log, self._find_numbered_page)

    def seen_by(self, scope: Scope) -> 'Questions':
        """Return what answers who may look no further than a scope: what is beyond is not there.

        It is asked for what it found itself: an execution that is handed in is not looked at.
        """
        if scope.is_everything:
            return self
        seen = copy.copy(self)
        seen._scope = scope
        return seen

    async def get(self, entity: EntityRef, script_id: str, execution_id: str) -> Execution:
        """Return an execution, open or ended; ExecutionNotFound."""
        execution = await self._find(execution_id)
        if execution is None or (execution.entity, execution.script_id) != (entity, script_id):
            raise ExecutionNotFound(execution_id, of_script=True)
        return execution

    async def get_by_id(self, execution_id: str) -> Execution:
        """Return an execution, whatever it is of; ExecutionNotFound."""
        execution = await self._find(execution_id)
        if execution is None:
            raise ExecutionNotFound(execution_id)
        return execution

    async def ended_within(self, execution: Execution, timeout_sec: float) -> Execution:
        """Wait for the end of an execution, but not for longer than that; return it as it is then.

        A schedule that waits for a start of the gateway is not waited for.
        """
        active = self._active.get(execution.id)
        waited_for = active or self._groups.get(execution.id)
        if waited_for is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_sec):
                    await waited_for.wait_ended()
        if active is None:
            return await self._find(execution.id) or execution
        ended = self._as_it_stands(active.execution, self._positions())
        if active.output is not None and not active.has_children:
            # It is asked for next; to read it anew would keep waiting who waited for the end.
            detail = detail_of(ended, active.output)
            self._details.keep(ended.id, detail, self._details.losses)
        return ended

    async def detail(self, entity: EntityRef, script_id: str, execution_id: str) -> Detail:
        """Return all that is shown of an execution, open or ended; ExecutionNotFound."""
        detail = await self._seen_detail(execution_id)
        if detail is None or not detail.is_of(entity, script_id):
            raise ExecutionNotFound(execution_id, of_script=True)
        return detail

    async def detail_by_id(self, execution_id: str) -> Detail:
        """Return all that is shown of an execution, whatever it is of; ExecutionNotFound."""
        detail = await self._seen_detail(execution_id)
        if detail is None:
            raise ExecutionNotFound(execution_id)
        return detail

    async def detail_of(self, execution: Execution) -> Detail:
        """Return all that is shown of an execution as it is."""
        held = None if execution.is_open else self._details.get(execution.id)
        if held is not None and (self._scope.is_everything or not held.has_children):
            return held
        children = await self.children_of(execution)
        return detail_of(execution, await self._outputs.of(execution.id), children)

    async def children_of(self, execution: Execution) -> ChildCounts:
        """Return how the children of an execution stand."""
        active = self._active.get(execution.id)
        if active is not None and not active.has_children:
            return NO_CHILDREN
        if _counts_none(execution):
            return NO_CHILDREN
        if not self._scope.is_everything:
            return await self._seen_children(execution)
        return await self._store.count_children(execution.id, schedule_id=execution.schedule)

    async def version_now(self, detail: Detail) -> tuple[bool, bool]:
        """Tell of the script's version that an execution is of: whether there is another one now,
        or another one of its instance, and whether its file is still there."""
        summary = detail.summary
        version = await self._library.version_of(detail.entity, summary.script_id)
        # Of a managed script the present version is there and no other.
        has_content = summary.script_version == version or self._library.versions.has(
            summary.script_id, summary.script_version
        )
        instance = summary.instance
        if instance is not None:
            ref = InstanceRef(
                entity=detail.entity, script_id=summary.script_id, name=instance.name
            )
            if self.instances.version_of(ref) != instance.version:
                return True, has_content
        return is_outdated(summary.script_version, version), has_content

    async def _seen_children(self, execution: Execution) -> ChildCounts:
        """Look at the children of an execution one by one: counted are those within the scope."""
        by_status: Counter[ExecutionStatus] = Counter()
        by_verdict: Counter[Verdict] = Counter()
        wanted = ExecutionFilter(scope=self._scope, parents=frozenset({execution.id}))
        async for page in every_page(self._store, wanted):
            children = [each for each in page if each.id != execution.schedule]
            by_status.update(each.status for each in children)
            by_verdict.update(each.verdict for each in children if each.verdict is not None)
        return ChildCounts(by_status=by_status, by_verdict=by_verdict)

    async def _seen_detail(self, execution_id: str) -> Detail | None:
        """Return the detail of an execution, where it is within the scope."""
        detail = self._details.get(execution_id) or await self._found_detail(execution_id)
        if detail is None or self._scope.is_everything:
            return detail
        if not self._scope.has_execution(execution_of(detail.summary.read())):
            return None
        if not detail.has_children:
            return detail
        execution = await self._find(execution_id)
        return None if execution is None else await self.detail_of(execution)

    async def _found_detail(self, execution_id: str) -> Detail | None:
        losses = self._details.losses
        execution = self._present(execution_id, self._positions())
        if execution is not None:
            return await self.detail_of(execution)
        found = await self._store.get_with_children(execution_id)
        if found is None:
            return None
        execution, children = found
        # As long as it is at work here, not all of its output need be where it stays.
        settled = not execution.is_open and self._active.get(execution_id) is None
        output = await self._outputs.of(execution_id)
        if _counts_none(execution):
            children = NO_CHILDREN
        detail = detail_of(execution, output, children)
        if settled:
            self._details.keep(execution_id, detail, losses)
        return detail

    async def output_page(self, execution: Execution, wanted: LinesWanted) -> OutputPage:
        """Return lines of an execution's output, also while it runs."""
        return await read_page(self._outputs, execution, wanted)

    async def output_text(self, execution_id: str, stream: OutputStream | None) -> bytes:
        """Return all that is kept of one stream or both as it came, also while it runs."""
        return await self._outputs.text(execution_id, stream=stream)

    async def find(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[SummaryText]:
        """Return a page of the executions that are wanted, newest first.

        Read upwards it misses none: it stops short of what may still come on record.
        ScriptNotFound where a script is asked for that nothing knows.
        """
        wanted = self._within_scope(wanted)
        if page.limit > 0:
            page = replace(page, below=self._ids.unsettled_from)
        found = await self._pages.find(wanted, page)
        if not found.executions:
            await self._check_known(wanted)
        return replace(found, executions=self._as_they_are(found.executions))

    async def beside_summary(self, execution_id: str) -> Summary:
        """Return what is shown of an execution alone, its parameters among it; nothing of one that
        is not kept any more."""
        execution = await self._kept(execution_id)
        return {} if execution is None else beside_summary(execution)

    async def find_numbered(
        self, wanted: ExecutionFilter, page: NumberedPage
    ) -> FoundNumberedPage[SummaryText]:
        """Return a page of the executions that are wanted, in its order; ScriptNotFound as
        `find`."""
        wanted = self._within_scope(wanted)
        found = await self._numbered_pages.find(wanted, page)
        if not found.executions:
            await self._check_known(wanted)
        return replace(found, executions=self._as_they_are(found.executions))

    async def versions_named(self, script_id: str) -> Mapping[str, int] | None:
        """Return how many executions name each version of a script, whatever they are of; None
        where some may be beyond the scope. StoreUnavailable."""
        return await self._store.versions_named(script_id) if self._scope.is_everything else None

    async def counts(self) -> Mapping[ExecutionStatus, int] | None:
        """Return how many executions stand in each status; None as `versions_named`."""
        return await self._store.counts() if self._scope.is_everything else None

    async def _check_known(self, wanted: ExecutionFilter) -> None:
        """Raise ScriptNotFound where the one script that is asked for never was."""
        if wanted.entity is None or wanted.script_id is None:
            return
        of_script = ExecutionFilter(
            scope=self._scope, entity=wanted.entity, script_id=wanted.script_id
        )
        if not (await self._store.find(of_script, KeysetPage(limit=-1))).executions:
            script = await self._library.get(wanted.entity, wanted.script_id)
            if not self._scope.has(wanted.entity, script):
                raise ScriptNotFound(wanted.entity, wanted.script_id)

    async def _find_page(
        self, wanted: ExecutionFilter, page: KeysetPage
    ) -> FoundPage[SummaryText]:
        found = await self._store.find_texts(wanted, page)
        return FoundPage(
            executions=tuple(map(parts_of, found.executions)),
            more=found.more,
            complete=found.complete,
        )

    async def _find_numbered_page(
        self, wanted: ExecutionFilter, page: NumberedPage
    ) -> FoundNumberedPage[SummaryText]:
        found = await self._store.find_numbered(wanted, page)
        return FoundNumberedPage(
            executions=tuple(map(parts_of, found.executions)),
            total=found.total,
            approximate=found.approximate,
            complete=found.complete,
        )

    def _as_they_are(self, recorded: Iterable[SummaryText]) -> tuple[SummaryText, ...]:
        """Return what is known beyond the record: progress, and a stop that is not on it yet."""
        positions = self._positions()
        return tuple(
            self._as_it_is(each, positions) if each.status in _OPEN else each for each in recorded
        )

    def _as_it_is(self, recorded: SummaryText, positions: Mapping[str, int]) -> SummaryText:
        present = self._present(recorded.execution_id, positions)
        if present is None or present.status.value != recorded.status:
            return recorded
        return parts_of(to_document(present))

    async def _find(self, execution_id: str) -> Execution | None:
        present = self._present(execution_id, self._positions())
        return await self._kept(execution_id) if present is None else self._if_seen(present)

    def _within_scope(self, wanted: ExecutionFilter) -> ExecutionFilter:
        return wanted if self._scope.is_everything else replace(wanted, scope=self._scope)

    async def _kept(self, execution_id: str) -> Execution | None:
        return self._if_seen(await self._store.get(execution_id))

    def _if_seen(self, execution: Execution | None) -> Execution | None:
        if execution is None or self._scope.has_execution(execution):
            return execution
        return None

    def _present(self, execution_id: str, positions: Mapping[str, int]) -> Execution | None:
        active = self._active.get(execution_id)
        if active is None:
            return self._schedules.get(execution_id)
        return self._as_it_stands(active.execution, positions)

    def _as_it_stands(self, execution: Execution, positions: Mapping[str, int]) -> Execution:
        position = positions.get(execution.id)
        return execution if position is None else execution.evolve(queue_position=position)


def _counts_none(execution: Execution) -> bool:
    """Tell whether nobody asks for the children of an execution: what a schedule starts is its
    child too, and lasts as long as nobody deletes it."""
    return execution.is_schedule or execution.ended_as_schedule
