# SPDX-License-Identifier: Apache-2.0
"""What the audit has of requests that change something, or are refused: values, and its port.

Parameters are in it as a hash, and credentials not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import datetime
import enum
from typing import Any, Protocol

from gateway_node.clock import rfc3339
from gateway_node.executions.actors import Role
from gateway_node.executions.globs import paths_like

Document = Mapping[str, Any]
"""A note as it is kept and shown, in JSON values."""


class NoteKind(enum.Enum):
    """What a note is about."""

    REQUEST = 'request'
    """A request, and what came of it."""
    BEGUN = 'begun'
    """A change that is about to be made; what comes of it is in a note of its own."""
    REPEATED = 'repeated'
    """Refusals that were counted in place of being noted one by one."""
    LOST = 'lost'
    """Notes that could not be kept."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request: who sent it, and what it is for."""

    method: str
    origin: str
    """The address that it comes from."""
    route: str | None = None
    """The path of the route; None where there is none such."""
    name: str | None = None
    role: Role | None = None
    """None where nobody knows who it is."""
    client_id: str | None = None
    asked_as: str | None = None
    """The client for which it asks for tokens, right or not."""
    by_execution: str | None = None
    """The id of the execution whose script sent it."""
    entity: str | None = None
    """Its path, as the request has it."""
    script_id: str | None = None
    instance: str | None = None
    """The name of one of the script's."""
    execution_id: str | None = None
    action: str | None = None
    parameters_hmac: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditNote:
    """One note."""

    kind: NoteKind
    time: datetime.datetime
    asked: Asked | None = None
    """Of REQUEST and BEGUN."""
    status: int | None = None
    """Of the answer; None where nobody waited for one."""
    vendor_code: str | None = None
    """Of an error."""
    result_id: str | None = None
    """Of what came into being."""
    replayed: bool = False
    """Whether an earlier request had made it."""
    begun: int | None = None
    """The sequence of the note that this change was begun with."""
    origin: str | None = None
    """Of REPEATED: the address or the network; None for those of many."""
    name: str | None = None
    """Of REPEATED."""
    since: datetime.datetime | None = None
    """Of REPEATED: when the first one came."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """Of REPEATED: how often each was answered."""
    lost: int | None = None
    """Of LOST: how many."""


def document_of(note: AuditNote) -> dict[str, Any]:
    """Return a note as it is kept, without what its place in the audit tells."""
    document: dict[str, Any] = {'time': rfc3339(note.time), 'kind': note.kind.value}
    if note.asked is not None:
        document |= _asked(note.asked)
    document |= {
        'name': document.get('name', note.name),
        'origin': document.get('origin', note.origin),
        'status': note.status,
        'vendor_code': note.vendor_code,
        'result': note.result_id,
        'replayed': note.replayed or None,
        'begun': note.begun,
        'since': None if note.since is None else rfc3339(note.since),
        'repeated': sum(note.statuses.values()) or None,
        'statuses': {str(status): count for status, count in note.statuses.items()} or None,
        'lost': note.lost,
    }
    return {name: value for name, value in document.items() if value is not None}


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        'name': asked.name,
        'role': None if asked.role is None else asked.role.value,
        'client_id': asked.client_id,
        'asked_as': asked.asked_as,
        'origin': asked.origin,
        'by_execution': asked.by_execution,
        'method': asked.method,
        'route': asked.route,
        'entity': asked.entity,
        'script': asked.script_id,
        'instance': asked.instance,
        'execution': asked.execution_id,
        'action': asked.action,
        'parameters_hmac': asked.parameters_hmac,
    }


@dataclass(frozen=True, kw_only=True)
class NotesWanted:
    """Which notes are asked for; all fields have to hold."""

    limit: int
    before: int | None = None
    """Their sequence is below this one."""
    after: int | None = None
    """It is above this one."""
    names: frozenset[str] | None = None
    entities: frozenset[str] | None = None
    """Paths, or patterns of these."""
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    """The first moment that is not wanted any more."""

    def wants(self, document: Document) -> bool:
        """Tell whether a note is among them, whatever its sequence."""
        if self.names is not None and document.get('name') not in self.names:
            return False
        if self.entities is not None and not paths_like(
            self.entities, filter(None, [document.get('entity')])
        ):
            return False
        if self.since is None and self.until is None:
            return True
        time = datetime.datetime.fromisoformat(document['time'])
        return (self.since is None or time >= self.since) and (
            self.until is None or time < self.until
        )


@dataclass(frozen=True, kw_only=True)
class NotesPage:
    """A part of the audit, the newest note first."""

    documents: Sequence[Document]
    next_before: int | None = None
    """Where there may be more: the sequence below which it is."""
    unreadable: int = 0
    """Lines in this part that are no notes: what a crash left of one."""


class AuditLog(Protocol):
    """Keeps notes, each with a sequence that grows by one. What it does blocks."""

    def append(self, notes: Sequence[AuditNote]) -> int:
        """Keep notes, in this order; return the sequence of the first.

        OSError where they cannot be kept, and then none of them is. Without notes it does what
        comes before the first one. One thread at a time.
        """

    def close(self) -> None:
        """Let go of what it has open; whatever is done afterwards opens that again."""

    def page(self, wanted: NotesWanted) -> NotesPage:
        """Return notes that are wanted, as far as it looks for one page; OSError."""
