# SPDX-License-Identifier: Apache-2.0
"""The handler of the audit, and what its route takes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
import datetime
import json

from gateway_node.access.audit import NotesPage, NotesWanted
from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.errors import AuditTurnedOff
from gateway_node.clock import rfc3339
from gateway_node.http_server.calls import Answer, Call, Stream
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.fields import Integer
from gateway_node.http_server.media_types import accepts, JSON, NDJSON
from gateway_node.http_server.query_fields import (
    EntityPattern,
    MAX_TEXTS,
    Moment,
    SearchText,
    Several,
)
from gateway_node.http_server.representations import Json
from gateway_node.http_server.takes import query

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_SEQUENCE = 2**53 - 1

_SEQUENCE = Integer(1, MAX_SEQUENCE)

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, kw_only=True)
class OfAudit:
    """Takes which part of the audit is wanted."""

    limit: int | None = query(
        Integer(1, MAX_LIMIT),
        default=None,
        about='So many, the newest. 100 where it is left out; in a file all of them.',
    )
    before: int | None = query(
        _SEQUENCE, default=None, about='The sequence of the note that the wanted ones precede.'
    )
    after: int | None = query(
        _SEQUENCE, default=None, about='The sequence of the note that the wanted ones follow.'
    )
    names: frozenset[str] | None = query(
        Several(SearchText(listed=True), MAX_TEXTS),
        default=None,
        name='name',
        about='Who sent the request.',
    )
    entities: frozenset[str] | None = query(
        Several(EntityPattern(), MAX_TEXTS),
        default=None,
        name='entity',
        about='The entity that the path of the request names: a path such as `apps/temp_sensor`, '
        'or a pattern of paths (`apps/*`).',
    )
    since: datetime.datetime | None = query(
        Moment(), default=None, name='from', about='Noted then, or later (RFC 3339).'
    )
    until: datetime.datetime | None = query(
        Moment(), default=None, name='to', about='Noted before then, not at that moment.'
    )
    accept: str = accepts(JSON, NDJSON)

    def __post_init__(self) -> None:
        """Check what goes with what; InvalidParameter."""
        if self.since is not None and self.until is not None and self.since > self.until:
            allowed = f'up to to, which is {rfc3339(self.until)}'
            reason = f'is {rfc3339(self.since)}; allowed: {allowed}'
            raise InvalidParameter.of_query(('from', reason))

    @property
    def wanted(self) -> NotesWanted:
        """Of the audit."""
        return NotesWanted(
            limit=self.limit or DEFAULT_LIMIT,
            before=self.before,
            after=self.after,
            names=self.names,
            entities=self.entities,
            since=self.since,
            until=self.until,
        )


async def list_audit(call: Call[OfAudit, None]) -> Answer:
    """List what was noted of requests that changed something, or were refused, newest first.

    With `Accept: application/x-ndjson` as a file of all that is wanted.
    """
    trail = call.services.audit
    if trail is None:
        raise AuditTurnedOff
    at = call.at
    if at.accept == NDJSON:
        return Answer(body=await _file(call, trail))
    page = await trail.page(at.wanted)
    body: Json = {'items': list(page.documents)}
    links = {}
    if page.next_before is not None:
        links['next'] = body['next'] = call.target.with_query({'before': page.next_before})
    if page.unreadable:
        body['unreadable'] = page.unreadable
    return Answer(body=body, links=links)


async def _file(call: Call[OfAudit, None], trail: AuditTrail) -> Stream:
    """Return all that is wanted; what the first page raises is raised here."""
    began = call.services.clock.now()
    wanted, left = call.at.wanted, call.at.limit
    first = await trail.page(replace(wanted, limit=left or MAX_LIMIT))
    return Stream(
        pieces=_lines(trail, wanted, first, left),
        media_type=NDJSON,
        file_name=f'audit-{began:%Y%m%dT%H%M%SZ}.ndjson',
    )


async def _lines(
    trail: AuditTrail, wanted: NotesWanted, page: NotesPage, left: int | None
) -> AsyncIterator[bytes]:
    """Yield a page and those that follow it; of the notes, no more than are `left`."""
    while True:
        yield ''.join(f'{_encode(each)}\n' for each in page.documents).encode()
        if left is not None:
            left -= len(page.documents)
        if page.next_before is None or left == 0:
            return
        limit = MAX_LIMIT if left is None else left
        page = await trail.page(replace(wanted, limit=limit, before=page.next_before))
