# SPDX-License-Identifier: Apache-2.0
"""Events of the log with what each left: the execution as it was then.

Each event has what it changed. So what an execution was like follows from its own events alone,
whatever became of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway_node.executions.documents import evolved, Summary
from gateway_node.executions.events import Event, EventKind, EXECUTION_KINDS, FIRST_KINDS
from gateway_node.executions.store_ports import EventLog
from gateway_node.executions.values import OPEN_STATUSES

MAX_HISTORY = 1000
"""Events of one execution that are looked at; only a schedule has more than a few."""
_OPEN = frozenset(status.value for status in OPEN_STATUSES)


@dataclass(frozen=True, kw_only=True)
class ToldEvent:
    """An event, and what it left."""

    event: Event
    summary: Summary
    """Of an execution: the summary after it, as far as the log tells; `entity`, `script_id` and
    `id` always. Of all else: what changed."""

    @property
    def is_end(self) -> bool:
        """Whether it is an execution's end, behind which nothing but its deletion comes."""
        event = self.event
        if event.kind not in EXECUTION_KINDS:
            return False
        status = self.summary.get('status')
        return event.kind is EventKind.EXECUTION_DELETED or (
            status is not None and status not in _OPEN
        )

    @property
    def is_whole(self) -> bool:
        """Whether all of the summary is known."""
        return 'status' in self.summary and 'script_version' in self.summary


class Replay:
    """Makes of events, taken in the order of the log, what they left."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._summaries: dict[str, Summary] = {}
        """Of those that were open behind the last event, by their subject."""

    async def told(self, events: Iterable[Event]) -> list[ToldEvent]:
        """Return the next events with what each left; StoreUnavailable."""
        events = [*events]
        if missing := self._unknown(events):
            until = events[0].sequence - 1
            histories = await self._log.history(missing, until=until, limit=MAX_HISTORY)
            for subject, history in histories.items():
                for event in history:
                    self._take(event)
                self._summaries.setdefault(subject, named_by(subject))
        return [self._take(event) for event in events]

    def _unknown(self, events: Iterable[Event]) -> set[str]:
        begun, unknown = set(self._summaries), set()
        for event in events:
            if event.kind not in EXECUTION_KINDS or event.subject in begun:
                continue
            begun.add(event.subject)
            if event.kind not in FIRST_KINDS and event.kind is not EventKind.EXECUTION_DELETED:
                unknown.add(event.subject)
        return unknown

    def _take(self, event: Event) -> ToldEvent:
        if event.kind not in EXECUTION_KINDS:
            return ToldEvent(event=event, summary=event.changes)
        before = self._summaries.pop(event.subject, {})
        told = ToldEvent(event=event, summary=summary_after(event, before))
        if not told.is_end:
            self._summaries[event.subject] = told.summary
        return told


def told_of_one(history: Iterable[Event]) -> list[ToldEvent]:
    """Return all that the log has of one execution with what each event left."""
    summary: Summary = {}
    told = []
    for event in history:
        summary = summary_after(event, summary)
        told.append(ToldEvent(event=event, summary=summary))
    return told


def summary_after(event: Event, before: Summary) -> Summary:
    """Return what an event left of an execution; of one that was deleted nothing but its names."""
    names = named_by(event.subject)
    if event.kind is EventKind.EXECUTION_DELETED:
        return names
    if event.kind in FIRST_KINDS:
        return evolved({}, event.changes)
    return evolved({**names, **before}, event.changes)


def named_by(subject: str) -> Mapping[str, str]:
    """Return what the path of an execution tells of it."""
    collection, entity_id, _, script_id, _, execution_id = subject.split('/')
    return {'id': execution_id, 'entity': f'{collection}/{entity_id}', 'script_id': script_id}
