# SPDX-License-Identifier: Apache-2.0
"""What of each request goes into the audit: the one place that decides it.

A note is made of each request whose method changes something, whatever came of it, and of each
other one that is refused for who sent it.
"""

from collections.abc import Mapping
import contextlib
from dataclasses import dataclass, field
import enum
from typing import Any

from aiohttp import web

from gateway_node.access.audit import Asked, AuditNote, NoteKind
from gateway_node.access.audit_trail import AuditTrail
from gateway_node.clock import Clock
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import ExecutionNotFound, StoreUnavailable
from gateway_node.executions.values import Execution
from gateway_node.http_server.callers import Callers
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.entrance import SAFE_METHODS
from gateway_node.http_server.error_table import row_of
from gateway_node.http_server.route import Route
from gateway_node.http_server.subjects import ByExecutionId
from gateway_node.http_server.tokens import named_client

_REFUSED = frozenset({401, 403, 421, 429})
"""What is answered to who may not, or not now."""
_NOT_FOUND = 404
_MAX_TEXT = 300
"""Characters of what a path says; ids are shorter."""


@dataclass(kw_only=True)
class Trace:
    """What became known of a request on its way."""

    route: Route[Any, Any] | None = None
    segments: Mapping[str, str] = field(default_factory=dict)
    actor: Actor | None = None
    call: Call[Any, Any] | None = None
    """Of a request that may change something, once it was handed to its handler."""
    execution: Execution | None = None
    """That it names by its id alone."""
    begun: int | None = None
    """The sequence of the note that says that it is about to be handled."""
    answer: Answer | None = None
    error: Exception | None = None


class Auditor:
    """Notes requests."""

    def __init__(self, trail: AuditTrail, clock: Clock, callers: Callers) -> None:
        self._trail = trail
        self._clock = clock
        self._callers = callers

    async def before(self, request: web.BaseRequest, trace: Trace, call: Call[Any, Any]) -> None:
        """Note that a request is handed to its handler, where nothing may be changed without.

        AuditUnavailable.
        """
        if request.method in SAFE_METHODS:
            return
        if isinstance(call.at, ByExecutionId):
            # It may be gone behind this.
            with contextlib.suppress(ExecutionNotFound, StoreUnavailable):
                trace.execution = await call.at.execution(call.services.questions)
        if self._trail.is_required:
            asked = self._asked(request, trace, call)
            note = AuditNote(kind=NoteKind.BEGUN, time=self._clock.now(), asked=asked)
            trace.begun = await self._trail.begin(note)
        trace.call = call

    async def after(self, request: web.BaseRequest, trace: Trace, status: int) -> None:
        """Note what came of a request, before it is answered."""
        if request.method in SAFE_METHODS and not _is_refusal(trace, status):
            return
        note = self._note(request, trace, status)
        has_changed = trace.call is not None and not 400 <= status < 500
        if has_changed or trace.begun is not None:
            await self._trail.note(note)
        else:
            self._trail.refused(note)

    def given_up(self, request: web.BaseRequest, trace: Trace) -> None:
        """Note a request that is not answered, though it may have changed something."""
        if trace.call is not None:
            self._trail.note_soon(self._note(request, trace, None))

    def _note(self, request: web.BaseRequest, trace: Trace, status: int | None) -> AuditNote:
        row = None if trace.error is None else row_of(type(trace.error))
        answer = trace.answer or Answer()
        made = None if answer.location is None else answer.location.rpartition('/')[2]
        return AuditNote(
            kind=NoteKind.REQUEST,
            time=self._clock.now(),
            asked=self._asked(request, trace, trace.call),
            status=status,
            vendor_code=None if row is None else row.vendor_code,
            result_id=made,
            replayed=answer.replayed,
            begun=trace.begun,
        )

    def _asked(self, request: web.BaseRequest, trace: Trace, call: Call[Any, Any] | None) -> Asked:
        actor, route, execution = trace.actor, trace.route, trace.execution
        body = None if call is None else call.body
        action = getattr(body, 'action', None)
        parameters = _parameters_in(body)
        shown = None if trace.answer is None else trace.answer.name
        return Asked(
            method=request.method[:_MAX_TEXT],
            origin=self._callers.origin_of(request) if actor is None else actor.origin,
            route=None if route is None else route.path or '/',
            name=shown if actor is None else actor.name or shown,
            role=None if actor is None else actor.role,
            client_id=None if actor is None else actor.client_id,
            asked_as=None if call is None else named_client(call.at, call.body),
            by_execution=None if actor is None else actor.execution,
            entity=_entity_of(trace) if execution is None else execution.entity.path,
            script_id=_text(trace, 'script_id') if execution is None else execution.script_id,
            instance=_text(trace, 'instance'),
            execution_id=_text(trace, 'execution_id'),
            action=action.value if isinstance(action, enum.Enum) else None,
            parameters_hmac=self._trail.hash_of(parameters) if parameters else None,
        )


def _parameters_in(body: object) -> Mapping[str, Any] | None:
    """Return the parameters that a body gives to a script."""
    given = body.get('parameters') if isinstance(body, Mapping) else None
    parameters = getattr(body, 'parameters', given)
    return parameters if isinstance(parameters, Mapping) else None


def _is_refusal(trace: Trace, status: int) -> bool:
    """Tell whether a request that changes nothing was refused; who is narrowed is told of what
    is beyond their scope that it is not there."""
    actor = trace.actor
    is_narrowed = actor is not None and not actor.scope.is_everything
    return status in _REFUSED or (status == _NOT_FOUND and is_narrowed)


def _entity_of(trace: Trace) -> str | None:
    entity_id = _text(trace, 'entity_id')
    if entity_id is None or trace.route is None:
        return None
    # A path that is of apps alone, or of components, has no placeholder for that.
    collection = _text(trace, 'collection') or trace.route.path.split('/')[1]
    return f'{collection}/{entity_id}'


def _text(trace: Trace, name: str) -> str | None:
    text = trace.segments.get(name)
    return None if text is None else text[:_MAX_TEXT]
