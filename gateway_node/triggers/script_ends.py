# SPDX-License-Identifier: Apache-2.0
"""The ends of executions, as triggers are told of them: each once, over restarts too.

How far they were looked at is kept with the truths of conditions. What a gateway that was killed
had in its log and had not looked at, the next one reads there. See decision 070.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from gateway_node.executions.errors import LogBegins
from gateway_node.executions.events import Cursor, Event, EventKind
from gateway_node.executions.instance_refs import InstanceRef, TriggerRef
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution
from gateway_node.scripts.instances import WhileDown
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.values import Side

if TYPE_CHECKING:
    from gateway_node.triggers.live_trigger import LiveTrigger

READ_BACK = 1000
"""Events of earlier gateways at most that are read: how far they had looked is seconds old."""
_AT_ONCE = 200
_ARMS = frozenset(
    {EventKind.INSTANCE_CREATED, EventKind.INSTANCE_REPLACED, EventKind.INSTANCE_ENABLED}
)
"""Behind what its triggers take ends."""


class ScriptEnds:
    """Tells triggers of ends, those alone whose conditions ask for them."""

    def __init__(
        self,
        *,
        records: ExecutionStore,
        turns: Turns,
        book: InstanceBook,
        is_firing: Callable[[TriggerRef], bool],
    ) -> None:
        """`is_firing` tells whether a trigger has fired, and that is not on record yet.

        Made before this gateway records anything.
        """
        self._records = records
        self._turns = turns
        self._book = book
        self._is_firing = is_firing
        self._waiting: dict[InstanceRef, Sequence[LiveTrigger]] = {}
        self._begun_at = records.log.end.sequence
        """Up to there the log tells of earlier gateways."""
        self._kept = self._begun_at
        """Up to where those had looked."""
        self._armed_at: dict[str, int] = {}
        """From where on, by the subjects of the instances that changed since."""
        self._missed: list[tuple[int, Execution]] | None = None
        """What nobody looked at; None until that is known."""
        self._seen = self._read_to = self._begun_at
        self._firing: dict[TriggerRef, int] = {}
        """What fired and may not be on record, each with how far had been looked before."""
        self._closed_at: int | None = None

    async def open(self, kept: int | None) -> None:
        """Find what nobody looked at, up to the moment at which this returns; StoreUnavailable.

        `kept` is how far earlier gateways had looked, None where that is not known.
        """
        log, missed = self._records.log, list[tuple[int, Execution]]()
        if kept is not None:
            self._kept = self._seen = kept
        if not self._are_asked_for(kept):
            self._missed, self._read_to = [], log.end.sequence
            return
        begins = (await log.bounds()).begins.sequence
        begin = max(begins, kept or 0, self._begun_at - READ_BACK)
        after, end = Cursor(epoch=log.end.epoch, sequence=begin), None
        while after.sequence < log.end.sequence and log.end != end:
            end = log.end
            try:
                events = await log.events(after, limit=_AT_ONCE)
            except LogBegins as error:
                after, end = error.begins, None
                continue
            for event in events:
                if event.kind in _ARMS:
                    self._armed_at[event.subject] = event.sequence
                elif event.kind is EventKind.EXECUTION_ENDED:
                    execution = await self._records.get(event.subject_id)
                    if execution is not None:
                        missed.append((event.sequence, execution))
            if events:
                after, end = events[-1].cursor, None
        self._missed, self._read_to = missed, after.sequence

    def _are_asked_for(self, kept: int | None) -> bool:
        """Tell whether an instance waits for ends, or one that comes with its entity may."""
        if kept is not None and kept > self._begun_at - READ_BACK:
            return True
        triggers = [each for instance in self._book.all() for _, _, each in instance.triggers]
        if not triggers:
            return False
        # The language of conditions is loaded with the first trigger.
        from gateway_node.triggers.live_trigger import waits_for_ends

        return any(map(waits_for_ends, triggers))

    def begin(self) -> None:
        """Take that all triggers that are there have been told of it by `make_up`."""
        self._turns.add(self._read())

    def have(self, ref: InstanceRef, triggers: 'Sequence[LiveTrigger]') -> None:
        """Have these triggers of an instance, and no others."""
        waiting = [each for each in triggers if each.waits_for_ends]
        if waiting:
            self._waiting[ref] = waiting
        else:
            self._waiting.pop(ref, None)

    def take(self, event: Event, execution: Execution) -> None:
        """Take that an execution has ended; before `open` is done, that reads of it."""
        if self._missed is not None:
            self._turns.add(self._telling(event.sequence, execution))

    def make_up(self, trigger: 'LiveTrigger') -> None:
        """Tell a trigger that an earlier gateway may have had of what that did not look at."""
        if not trigger.waits_for_ends or trigger.trigger.while_down is WhileDown.IGNORE:
            return
        after = self._begun_at
        if trigger.side is Side.START:
            subject = trigger.ref.instance.subject
            looked = self._armed_at.get(subject, self._kept)
            after = max(looked, trigger.kept.last_firing or 0)
        missed = [each for sequence, each in self._missed or () if sequence > after]
        if missed:
            self._turns.add(self._telling_missed(trigger, missed))

    def note_firing(self, ref: TriggerRef) -> None:
        """Take that a trigger has fired, which is not on record yet."""
        self._firing[ref] = self._seen

    @property
    def seen(self) -> int | None:
        """Up to where all ends were looked at, and what fired for them is on record; None where
        nobody waits for any."""
        if self._closed_at is not None or not self._waiting:
            return self._closed_at
        self._firing = {ref: seen for ref, seen in self._firing.items() if self._is_firing(ref)}
        return min(self._firing.values(), default=self._seen)

    def close(self) -> None:
        """Tell of no more ends: they are the next gateway's."""
        self._closed_at = self.seen
        self._waiting.clear()

    def _telling(self, sequence: int, execution: Execution) -> Iterator[None]:
        for ref, triggers in list(self._waiting.items()):
            if self._sees(ref, execution):
                for trigger in triggers:
                    trigger.script_ended(execution)
            yield
        self._seen = sequence

    def _read(self) -> Iterator[None]:
        self._seen = max(self._seen, self._read_to)
        yield

    def _telling_missed(
        self, trigger: 'LiveTrigger', missed: Sequence[Execution]
    ) -> Iterator[None]:
        for execution in missed:
            if self._sees(trigger.ref.instance, execution):
                trigger.script_ended(execution)
            yield

    def _sees(self, ref: InstanceRef, execution: Execution) -> bool:
        """Tell whether the maker of an instance sees an execution."""
        instance = self._book.find(ref)
        if instance is None:
            return False
        return instance.rights is None or instance.rights.scope.has_execution(execution)
