# SPDX-License-Identifier: Apache-2.0
"""Keeps what was seen around executions, beside all else that goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import contextlib
from functools import partial
import logging

from gateway_node.clock import Clock
from gateway_node.evidence.archiving import archived, Taken
from gateway_node.evidence.begun import AFTER_SEC, Begun, Ended, Logged
from gateway_node.evidence.errors import NotKept
from gateway_node.evidence.known_parts import KnownParts
from gateway_node.evidence.looking import Looks
from gateway_node.evidence.ports import EvidenceFiles, RobotWitness
from gateway_node.executions.errors import (
    DiskSpaceLow,
    ExecutionNotFound,
    StoreUnavailable,
)
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.ports import FreeSpace
from gateway_node.executions.values import Execution
from gateway_node.scripts.errors import LibraryUnavailable
from gateway_node.side_tasks import log_failure
from gateway_node.threads import Threads

_log = logging.getLogger(__name__)

MAX_AT_ONCE = 64
"""Executions of which evidence is being kept; of more that end meanwhile none is."""
CLOSE_PATIENCE_SEC = 5.0
"""For a disk, when the gateway ends."""

_INCOMPLETE = 'the gateway ended, or was killed, before all was taken'
_REFUSALS = (
    DiskSpaceLow,
    ExecutionNotFound,
    LibraryUnavailable,
    NotKept,
    StoreUnavailable,
)


class EvidenceKeeping:
    """Looks around after an end, and keeps that with what was seen before.

    As an execution ends, what there is is kept, and `AFTER_SEC` later all of it: so a gateway that
    is killed in between leaves evidence that says that it is not all.
    """

    def __init__(
        self,
        *,
        robot: RobotWitness,
        looks: Looks,
        known: KnownParts,
        files: EvidenceFiles,
        free_space: FreeSpace,
        measure: Callable[[str], Awaitable[None]],
        versions: Mapping[str, str],
        max_bytes: int,
        clock: Clock,
    ) -> None:
        """`measure` notes what is kept of an execution anew; `versions` are this gateway's."""
        self._robot = robot
        self._looks = looks
        self._known = known
        self._files = files
        self._free_space = free_space
        self._measure = measure
        self._versions = dict(versions)
        self._max_bytes = max_bytes
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deleted: set[str] = set()
        """Of those that are being kept."""
        self._writing = asyncio.Lock()
        self._threads = Threads('put evidence together', 1)
        self._closing = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether evidence is being kept of as many executions as it may be."""
        return len(self._tasks) >= MAX_AT_ONCE

    def is_keeping(self, execution_id: str) -> bool:
        """Tell whether evidence of an execution is being kept at the moment."""
        return execution_id in self._tasks

    def keep(self, execution: Execution, begun: Begun) -> None:
        """Have it kept of an execution that has ended."""
        task = asyncio.create_task(
            self._keep(execution, begun), name=f'keep evidence of {execution.id}'
        )
        self._tasks[execution.id] = task
        task.add_done_callback(partial(self._let_go, execution.id))

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Keep nothing of what is deleted."""
        if event.kind is EventKind.EXECUTION_DELETED and event.subject_id in self._tasks:
            self._deleted.add(event.subject_id)

    async def close(self) -> None:
        """Keep what there is of all that have ended, and wait for no more than that."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_PATIENCE_SEC)

    def _let_go(self, execution_id: str, task: 'asyncio.Task[None]') -> None:
        del self._tasks[execution_id]
        self._deleted.discard(execution_id)
        log_failure(task)

    async def _keep(self, execution: Execution, begun: Begun) -> None:
        try:
            await self._look_and_write(execution, begun)
        except _REFUSALS as error:
            if execution.id not in self._deleted:
                _log.warning('evidence of %s is not kept: %s', execution.id, error)

    async def _look_and_write(self, execution: Execution, begun: Begun) -> None:
        ended = await self._look_after(execution)
        if not self._closing.is_set():
            # Should the gateway be killed meanwhile, this is what there is.
            await self._write(execution, begun, ended, missing=_INCOMPLETE)
            left_sec = ended.monotonic + AFTER_SEC - self._clock.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_sec):
                    await self._closing.wait()
        missing = _INCOMPLETE if self._closing.is_set() else ''
        await self._write(execution, begun, ended, missing=missing)
        if execution.id not in self._deleted:
            await self._measure(execution.id)

    async def _look_after(self, execution: Execution) -> Ended:
        at, monotonic = self._clock.now(), self._clock.monotonic()
        graph, parameters, machine = await asyncio.gather(
            self._looks.graph(),
            self._looks.node_parameters(execution.entity),
            self._looks.machine(),
        )
        return Ended(
            at=at,
            monotonic=monotonic,
            graph=graph,
            node_parameters=parameters,
            machine=machine,
        )

    async def _write(
        self, execution: Execution, begun: Begun, ended: Ended, *, missing: str
    ) -> None:
        # One at a time: each may hold as much memory as evidence may take.
        async with self._writing:
            if execution.id in self._deleted:
                return
            await self._free_space.check()
            known = [part async for part in self._known.parts(execution, self._max_bytes)]
            taken = Taken(
                execution_id=execution.id,
                begun=begun,
                ended=ended,
                logged=self._logged(begun.monotonic, ended.monotonic + AFTER_SEC),
                versions=self._versions,
                missing=missing,
            )
            # Long documents take their time.
            kept = await self._threads.run(archived, taken, known, self._max_bytes)
            await self._files.keep(execution.id, kept.parts)
            if execution.id in self._deleted:
                await self._files.remove(execution.id)

    def _logged(self, begin: float, end: float) -> Logged:
        lines = self._robot.log_lines(begin, end)
        diagnostics = self._robot.diagnostics(begin, end)
        return Logged(
            lines=lines.lines,
            changes=diagnostics.changes,
            lost_lines=lines.lost,
            lost_changes=diagnostics.lost,
        )
