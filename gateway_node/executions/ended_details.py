# SPDX-License-Identifier: Apache-2.0
"""All that is shown of executions that have ended, as texts that are answered without being built
again: as many as have room, until they are deleted."""

from collections import OrderedDict
import dataclasses
import sys
from typing import NamedTuple

from gateway_node.entities.values import EntityRef
from gateway_node.executions.child_counts import ChildCounts, NO_CHILDREN, shown_counts
from gateway_node.executions.documents import beside_summary, to_document, to_text
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.summary_texts import answered, parts_of, SummaryText
from gateway_node.executions.values import Execution, Output

MAX_BYTES = 8 * 1024 * 1024
"""Of memory, that all of them take."""
_MOST_OF_ONE = 8
"""One that takes more than this part of it is made each time."""
_OWN_BYTES = 512
"""What one takes beside its texts, about."""


class Detail(NamedTuple):
    """All that is shown of an execution, as text, without what differs from request to request."""

    entity: EntityRef
    has_ended: bool
    summary: SummaryText
    beside: str
    """All other members and the end: `,"input_parameters":…,"output":{…}}`."""
    has_children: bool = False
    """Whether it counts some, which may change although it has ended itself."""

    def is_of(self, entity: EntityRef, script_id: str) -> bool:
        """Tell whether it is of an execution of this script."""
        return self.summary.script_id == script_id and self.entity == entity

    def answered(self, base: str, *, is_outdated: bool, script_content: str | None) -> bytes:
        """Return what is answered below a base; `script_content` is the path of the script's file
        as it ran, where it is there."""
        content = '' if script_content is None else f',"script_content":"{script_content}"'
        summary = answered(base, [self.summary], lambda *_: is_outdated)
        return f'{summary[:-1]}{content}{self.beside}'.encode()

    @property
    def size(self) -> int:
        """The bytes of memory that it takes, about."""
        return _OWN_BYTES + sum(map(sys.getsizeof, (*self.summary, self.beside)))


def detail_of(execution: Execution, output: Output, children: ChildCounts = NO_CHILDREN) -> Detail:
    """Make the detail of an execution, open or ended; its children are told where it has some."""
    shown = beside_summary(execution) | {'output': dataclasses.asdict(output)}
    if children.total:
        shown['children'] = shown_counts(children)
    others = to_text(shown)
    return Detail(
        entity=execution.entity,
        has_ended=not execution.is_open,
        summary=parts_of(to_document(execution)),
        beside=f',{others[1:]}',
        has_children=children.total > 0,
    )


class EndedDetails:
    """Holds the details that were asked for last; an EventListener, which hears of deletions.

    What has ended never changes, but its children may; nothing else makes one wrong.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._details: OrderedDict[str, Detail] = OrderedDict()
        """By the execution's id, the one that was asked for last at the end."""
        self._bytes = 0
        self._with_children: set[str] = set()
        """The ids of those that count children."""
        self._losses = 0

    @property
    def losses(self) -> int:
        """How often something was heard of that makes one wrong; see `keep`."""
        return self._losses

    @property
    def bytes(self) -> int:
        """Of memory, that they take."""
        return self._bytes

    def get(self, execution_id: str) -> Detail | None:
        """Return the detail of an execution where it is held."""
        detail = self._details.get(execution_id)
        if detail is not None:
            self._details.move_to_end(execution_id)
        return detail

    def keep(self, execution_id: str, detail: Detail, losses: int) -> None:
        """Hold the detail of an execution that has ended.

        Not where any was made wrong since there were so many `losses`, before its record was
        read: it may have been this one.
        """
        if losses != self._losses or detail.size > self._max_bytes // _MOST_OF_ONE:
            return
        self._drop(execution_id)
        self._details[execution_id] = detail
        self._bytes += detail.size
        if detail.has_children:
            self._with_children.add(execution_id)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._details)))

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Drop what is deleted, and the parents of what changes."""
        if event.kind is EventKind.EXECUTION_DELETED:
            self._losses += 1
            # Whose child it was, the tombstone does not tell.
            for each in (event.subject_id, *self._with_children):
                self._drop(each)
        elif execution is not None and execution.parent is not None:
            self._losses += 1
            self._drop(execution.parent)

    def _drop(self, execution_id: str) -> None:
        self._with_children.discard(execution_id)
        detail = self._details.pop(execution_id, None)
        if detail is not None:
            self._bytes -= detail.size
