# SPDX-License-Identifier: Apache-2.0
"""Which events are within a scope although no execution is there to say so: what happened to
scripts, to their instances and to the line, and deletions."""

from collections.abc import Mapping
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.documents import evolved
from gateway_node.executions.events import Event, EventKind, INSTANCE_KINDS, SCRIPT_KINDS
from gateway_node.executions.group import SCRIPT_ID
from gateway_node.executions.scopes import Scope
from gateway_node.executions.store_ports import EventLog
from gateway_node.executions.told_events import MAX_HISTORY, told_of_one

_OF_SCRIPTS = SCRIPT_KINDS | INSTANCE_KINDS
_DELETIONS = frozenset({EventKind.EXECUTION_DELETED, EventKind.SCRIPT_DELETED})


class SeenEvents:
    """Tells it of events.

    Their subjects name the entity. Name and tags of a script, where it takes those, are what the
    log tells of it up to the event; where it does not reach back that far, nothing is told. An
    instance is seen by who sees its script.
    """

    def __init__(self, scope: Scope, log: EventLog) -> None:
        self._scope = scope
        self._log = log
        self._asks_for_entities = scope.entities is not None
        self._asks_for_scripts = scope.scripts is not None or scope.tags is not None

    def is_to_be_read(self, event: Event) -> bool:
        """Whether it takes the log to tell it of an event; `has` does, and `has_now` cannot."""
        if event.kind in _OF_SCRIPTS:
            return self._asks_for_scripts
        if event.kind is not EventKind.EXECUTION_DELETED:
            return False
        return self._asks_for_scripts or (self._asks_for_entities and _may_be_group(event))

    def has_now(self, event: Event) -> bool:
        """Tell whether an event that need not be read is within."""
        collection, _, rest = event.subject.partition('/')
        if not rest:
            # The whole line: whoever starts anything is told that it is held.
            return True
        entity_id = rest.partition('/')[0]
        return self._scope.has_entity(EntityRef.from_path(f'{collection}/{entity_id}'))

    async def has(self, event: Event) -> bool:
        """Tell whether an event is within; StoreUnavailable."""
        if not self.is_to_be_read(event):
            return self.has_now(event)
        if not self.has_now(event) and not _may_be_group(event):
            return False
        until = event.sequence - (event.kind in _DELETIONS)
        subject = event.subject
        if event.kind in INSTANCE_KINDS:
            subject, _, _ = subject.rpartition('/instances/')
        found = await self._log.history([subject], until=until, limit=MAX_HISTORY)
        history = found[subject]
        if event.kind in _OF_SCRIPTS:
            return self._has_script(event, history)
        told = told_of_one(history)
        return (
            bool(told)
            and told[-1].is_whole
            and self._scope.has_execution(execution_of(told[-1].summary))
        )

    def _has_script(self, event: Event, history: tuple[Event, ...]) -> bool:
        known: dict[str, Any] = {}
        for each in history:
            known = evolved(known, each.changes)
        entity = EntityRef.from_path('/'.join(event.subject.split('/')[:2]))
        return 'name' in known and self._scope.has_script(
            entity, event.script_id, name=known['name'], tags=_tags(known)
        )


def _may_be_group(event: Event) -> bool:
    """Tell whether its subject may not name the entities that it is about."""
    return event.is_of_execution and event.script_id == SCRIPT_ID


def _tags(known: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(known.get('tags') or ())
