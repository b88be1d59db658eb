# SPDX-License-Identifier: Apache-2.0
"""One open group: it runs with the first of its children, and ends with the last.

It takes no place and has no process. How its children stand it is told; what follows from that is
recorded as any transition is, and a later gateway finds it out again.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
import contextlib
import logging
from typing import Any

from gateway_node.clock import Clock
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Change
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.stop import RECORD_PATIENCE_SEC
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import Execution, ExecutionStatus, FINAL_STATUSES, Trigger
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)


class ActiveGroup:
    """Brings one group from its record to its final status."""

    def __init__(
        self,
        execution: Execution,
        children: Mapping[str, Execution],
        *,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        """Take a group, and its children by their ids as they are."""
        self._record = execution
        self._children = dict(children)
        self._ran = any(child.started_at is not None for child in children.values())
        self._ledger = ledger
        self._clock = clock
        self._began: float | None = None
        """The monotonic time at which it began to run, where that was in this life."""
        self._stop_trigger = execution.stop_trigger
        self._let_go = False
        self._closing = False
        self._decided = False
        self._writing = asyncio.Lock()
        self._to_the_end = ToTheEnd()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def execution(self) -> Execution:
        """Its record; a stop is shown at once."""
        return self._with_stop(self._record)

    def note(self, child: Execution) -> None:
        """Take how a child stands now; a further attempt stands for the one before."""
        if child.parent is not None:
            self._children.pop(child.parent, None)
        self._children[child.id] = child
        self._ran |= child.started_at is not None
        self._news.set()

    async def stop(self, trigger: Trigger, actor: Actor, *, with_children: bool) -> bool:
        """Record that it was asked to end; False where its final status is decided already.

        It ends with its children, which others ask to end, or at once where those go on.
        """
        if self._decided:
            return False
        self._stop_trigger = self._stop_trigger or trigger
        # A disk that stalls keeps no child alive; what it takes later is on record too.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECORD_PATIENCE_SEC):
                await self._to_the_end.run('note a stop', self._note_stop(actor))
        if not with_children:
            self._let_go = True
            self._news.set()
        return True

    @property
    def decided(self) -> bool:
        """Whether the final status is decided, though it may not be on record yet."""
        return self._decided

    @property
    def stop_holds(self) -> bool:
        """Whether an accepted stop needs this gateway no more."""
        return self._record.stop_accepted or not self._record.is_open

    async def _note_stop(self, actor: Actor) -> None:
        async with self._writing:
            if not self.stop_holds:
                asked = self.execution.evolve(changed_at=self._clock.now())
                if await self._ledger.note_stop(asked, actor):
                    self._record = asked

    def _with_stop(self, execution: Execution) -> Execution:
        if not execution.is_open or execution.stop_trigger == self._stop_trigger:
            return execution
        return execution.evolve(stop_trigger=self._stop_trigger)

    def close(self) -> None:
        """Wait for no child any more: what is open then is left to the next gateway."""
        self._closing = True
        self._news.set()

    async def wait_ended(self) -> None:
        """Wait for the final status, or for the end of the gateway."""
        await self._ended.wait()

    async def drive(self) -> None:
        """See it through to its final status."""
        try:
            while self._record.is_open:
                self._news.clear()
                if await self._advance():
                    continue
                if self._closing:
                    return
                await self._news.wait()
        except StoreUnavailable:
            # The gateway ends; the next one finds out the same.
            _log.warning('%s ends without a record of its end', self._record.id)
        finally:
            self._ended.set()

    async def _advance(self) -> bool:
        """Record what follows from how the children stand; tell whether that was anything."""
        async with self._writing:
            changes = self._due()
            if not changes:
                return False
            await self._ledger.persist(*changes)
            self._record = changes[-1].execution
            return True

    def _due(self) -> list[Change]:
        changes = []
        execution = self.execution
        if execution.status is ExecutionStatus.PREPARED and self._ran:
            self._began = self._clock.monotonic()
            now = self._clock.now()
            running = transition(
                execution, ExecutionStatus.RUNNING, started_at=now, changed_at=now
            )
            changes.append(running)
            execution = running.execution
        if self._let_go or all(not child.is_open for child in self._children.values()):
            self._decided = True
            changes.append(self._end_of(execution))
        return changes

    def _end_of(self, execution: Execution) -> Change:
        final, cause, failure = self._final_status(execution)
        known: dict[str, Any] = {'completed_at': self._clock.now()}
        if self._began is not None:
            known['duration_ms'] = round((self._clock.monotonic() - self._began) * 1000)
        return transition(execution, final, cause, kept_bytes=0, failure=failure, **known)

    def _final_status(self, execution: Execution) -> tuple[ExecutionStatus, str, Failure | None]:
        if execution.stop_accepted:
            return ExecutionStatus.TERMINATED, 'stop', None
        ends = Counter(child.status for child in self._children.values())
        missed = len(self._children) - ends[ExecutionStatus.COMPLETED]
        if not missed:
            return ExecutionStatus.COMPLETED, 'children', None
        reason = FailureReason.CHILDREN_FAILED
        failure = Failure(
            reason=reason,
            message=f'{missed} of its {len(self._children)} executions did not complete',
            parameters={
                each.value: ends[each] for each in ExecutionStatus if each in FINAL_STATUSES
            },
        )
        return ExecutionStatus.FAILED, reason.value, failure
