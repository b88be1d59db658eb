# SPDX-License-Identifier: Apache-2.0
"""Handlers of what happens, as pages of the log and as streams, and what their routes take."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway_node.executions.event_pages import EventPage, MAX_EVENTS
from gateway_node.executions.events import Cursor, execution_subject
from gateway_node.executions.stream_news import Place
from gateway_node.executions.stream_readers import Outlet
from gateway_node.executions.told_events import ToldEvent
from gateway_node.http_server.calls import Answer, Call, EventStream
from gateway_node.http_server.errors import EventNotFound, InvalidParameter
from gateway_node.http_server.event_frames import (
    cursor_text,
    event_item,
    place_from,
    PLACE_PATTERN,
)
from gateway_node.http_server.execution_lists import wanted_executions
from gateway_node.http_server.execution_queries import ExecutionQuery, MAX_SEQUENCE
from gateway_node.http_server.fields import Field, Integer, refused, shown
from gateway_node.http_server.media_types import accepts, EVENT_STREAM, JSON
from gateway_node.http_server.representations import Json, listing
from gateway_node.http_server.subjects import ByExecutionId, NamesExecution, OfExecution
from gateway_node.http_server.takes import header, path, query

LAST_EVENT_ID = 'Last-Event-ID'
DEFAULT_LIMIT = 100
_NOWHERE = Place('', 0)
"""A place in no log, so that a stream begins anew."""


class EventId(Field[Place]):
    """The id of an event, which names the place behind it."""

    def read(self, value: object) -> Place:
        """Return the place."""
        place = place_from(value) if isinstance(value, str) else None
        if place is None:
            raise refused(
                f'is {shown(value)}; allowed: the id of an event, such as 5f0c2a9be41d7783-42'
            )
        return place

    def schema(self) -> dict[str, Any]:
        """Tell the form."""
        return {'type': 'string', 'pattern': f'^{PLACE_PATTERN}$'}


class LastEventId(EventId):
    """The same as a browser sends it by itself: what is no id of ours names no place."""

    def read(self, value: object) -> Place:
        """Return the place."""
        return (place_from(value) if isinstance(value, str) else None) or _NOWHERE

    def schema(self) -> dict[str, Any]:
        """Tell that it is a text: none is refused."""
        return {'type': 'string'}


@dataclass(frozen=True, kw_only=True)
class EventsWanted:
    """Takes which part of the log is wanted, or from where on a stream of it."""

    limit: int | None = query(
        Integer(-MAX_EVENTS, MAX_EVENTS, nonzero=True),
        default=None,
        about='So many: above 0 those behind `after`, or the oldest; below 0 those before '
        '`before`, or the newest. 100 where it is left out.',
    )
    after: Place | None = query(
        EventId(), default=None, about='The id of the event that the wanted ones follow.'
    )
    before: Place | None = query(
        EventId(), default=None, about='The id of the event that the wanted ones precede.'
    )
    last_event_id: Place | None = query(
        EventId(),
        default=None,
        about='Of a stream: goes on behind this event, for clients that cannot set '
        '`Last-Event-ID`, which goes before.',
    )
    last_event: Place | None = header(
        LAST_EVENT_ID, LastEventId(), default=None, about='Of a stream: goes on behind this event.'
    )
    accept: str = accepts(JSON, EVENT_STREAM)

    def __post_init__(self) -> None:
        """Check what goes with what; InvalidParameter."""
        if self.is_stream:
            names = [each for each in ('limit', 'after', 'before') if getattr(self, each)]
            reason = f'is for a page; with Accept: {EVENT_STREAM} there is last_event_id'
        else:
            names = ['last_event_id'] if self.last_event_id else []
            reason = f'goes with Accept: {EVENT_STREAM} alone'
        wrong = [(name, reason) for name in names]
        if self.after is not None and self.before is not None:
            wrong.append(('before', 'does not go with after; allowed: one of them'))
        if self.after is not None and (self.limit or 0) < 0:
            wrong.append(('limit', f'is {self.limit}; allowed with after: 1 to {MAX_EVENTS}'))
        if wrong:
            raise InvalidParameter.of_query(*wrong)

    @property
    def is_stream(self) -> bool:
        """Whether a stream is wanted."""
        return self.accept == EVENT_STREAM

    @property
    def place(self) -> Place | None:
        """Behind which a stream goes on."""
        return self.last_event or self.last_event_id

    @property
    def backwards(self) -> bool:
        """Whether a page is read from its end."""
        return self.before is not None or (self.limit or 0) < 0

    @property
    def reference(self) -> Cursor | None:
        """The place that a page is behind, or before."""
        place = self.after or self.before
        return None if place is None else _cursor(place)

    @property
    def count(self) -> int:
        """How many a page has at most."""
        return abs(self.limit or DEFAULT_LIMIT)


@dataclass(frozen=True, kw_only=True)
class OfEvents(ExecutionQuery, EventsWanted):
    """Takes the events of which executions are wanted, and which part of them."""

    def __post_init__(self) -> None:
        """Check what goes with what; InvalidParameter."""
        EventsWanted.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class NamesEvents(EventsWanted, NamesExecution):
    """Takes an execution, and which part of its events is wanted."""


@dataclass(frozen=True, kw_only=True)
class OfExecutionEvents(OfExecution, NamesEvents):
    """Takes an execution of a script, and which part of its events is wanted."""


@dataclass(frozen=True, kw_only=True)
class ByExecutionEvents(ByExecutionId, NamesEvents):
    """Takes an execution, whatever it is of, and which part of its events is wanted."""


@dataclass(frozen=True, kw_only=True)
class OfEvent:
    """Takes an event."""

    sequence: int = path(Integer(1, MAX_SEQUENCE))


async def list_events(call: Call[OfEvents, None]) -> Answer:
    """List what happened, in the order of the log, or tell it as it happens.

    Filters are about executions: what happened to anything else is told whatever they say. With
    `Accept: text/event-stream` a stream, from now on or behind `Last-Event-ID`.
    """
    return await _of_log(call, of_executions=False)


async def list_execution_events(call: Call[OfEvents, None]) -> Answer:
    """List what happened to executions and schedules, or tell it as it happens, with progress.

    As `/events` otherwise.
    """
    return await _of_log(call, of_executions=True)


async def show_event(call: Call[OfEvent, None]) -> Answer:
    """Show one event of the log."""
    told = await call.services.event_pages.event(call.at.sequence)
    if told is None:
        raise EventNotFound(call.at.sequence)
    return Answer(body=event_item(call.base, told))


async def list_events_of_execution(call: Call[NamesEvents, None]) -> Answer:
    """List what happened to one execution, or tell it as it happens.

    As a stream with its progress and its output, and at the end its result: with
    `Accept: text/event-stream`, from the begin or behind `Last-Event-ID`; 204 where all of it was
    told.
    """
    at, services = call.at, call.services
    execution = await at.execution(services.questions)
    if at.is_stream:
        place = at.place
        if place is not None and place.over and not execution.is_open:
            return Answer(status=204)
        return _stream(
            call,
            lambda outlet: services.streams.follow_execution(outlet, execution.id, place),
        )
    subject = execution_subject(execution.entity, execution.script_id, execution.id)
    page = await services.event_pages.of_execution(
        subject, at.reference, at.count, backwards=at.backwards
    )
    return _page(call, page)


async def _of_log(call: Call[OfEvents, None], *, of_executions: bool) -> Answer:
    at, services = call.at, call.services
    wanted = services.event_pages.filter(await wanted_executions(call))
    if at.is_stream:
        after = None if at.place is None else _cursor(at.place)
        return _stream(
            call,
            lambda outlet: services.streams.follow_log(
                outlet, after, of_executions=of_executions, wanted=wanted
            ),
        )

    async def is_wanted(told: ToldEvent) -> bool:
        if of_executions and not told.event.is_of_execution:
            return False
        return await wanted.finds(told)

    pages = services.event_pages
    find = pages.before if at.backwards else pages.behind
    return _page(call, await find(at.reference, at.count, is_wanted))


def _stream(
    call: Call[EventsWanted, None], follow: Callable[[Outlet], Coroutine[Any, Any, None]]
) -> Answer:
    places = call.services.stream_places
    call.services.streams.check_open()
    places.check(call.actor)
    return Answer(
        body=EventStream(
            follow=follow,
            base=call.base,
            reader=call.actor,
            authentication=call.services.authentication,
            places=places,
        )
    )


def _page(call: Call[EventsWanted, None], page: EventPage) -> Answer:
    body: Json = listing(event_item(call.base, told) for told in page.events)
    body['last'] = cursor_text(page.last)
    links = {}
    if page.next is not None:
        at = 'before' if call.at.backwards else 'after'
        links['next'] = body['next'] = call.target.with_query({at: cursor_text(page.next)})
    if page.missed:
        body['reset'] = {
            'begins': cursor_text(page.bounds.begins),
            'ends': cursor_text(page.bounds.ends),
        }
    return Answer(body=body, links=links)


def _cursor(place: Place) -> Cursor:
    return Cursor(epoch=place.epoch, sequence=place.sequence)
