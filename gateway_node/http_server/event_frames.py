# SPDX-License-Identifier: Apache-2.0
"""What happens, as JSON, and as the events of a stream (HTML, section 9.2, server-sent events)."""

from datetime import datetime
import re

from gateway_node.clock import rfc3339
from gateway_node.executions.actors import Actor
from gateway_node.executions.documents import present, Summary, summary_of, to_text
from gateway_node.executions.events import Cursor, Event
from gateway_node.executions.stream_news import (
    DroppedNews,
    EventNews,
    LineNews,
    News,
    Place,
    ProgressNews,
    ResetNews,
    ResultNews,
    StateNews,
)
from gateway_node.executions.told_events import ToldEvent
from gateway_node.http_server.execution_columns import hrefs_in
from gateway_node.http_server.executions import detail_body
from gateway_node.http_server.representations import Json

PLACE_PATTERN = r'([0-9a-zA-Z_]{1,64})-([0-9]{1,18})(?:-(?:([0-9]{1,18})|(end)))?'
_PLACE = re.compile(PLACE_PATTERN)

_NAMES = {'execution': 'status', 'schedule': 'status'}
"""Of events, by what the name of their kind begins with; the others are called by that."""


def place_text(place: Place) -> str:
    """Return a place as clients are told it, and name it again."""
    text = f'{place.epoch}-{place.sequence}'
    if place.over:
        return f'{text}-end'
    return text if place.line is None else f'{text}-{place.line}'


def cursor_text(cursor: Cursor) -> str:
    """Return a place of the log as clients are told it."""
    return place_text(Place(cursor.epoch, cursor.sequence))


def place_from(text: str) -> Place | None:
    """Return the place that a text names; None where it is none."""
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    epoch, sequence, line, end = found.groups()
    return Place(epoch, int(sequence), None if line is None else int(line), end is not None)


def event_item(base: str, told: ToldEvent) -> Json:
    """Build an event of the log for a page of these."""
    event = told.event
    return {
        'id': cursor_text(event.cursor),
        'event': _name_of(event),
        'href': f'{base}/events/{event.sequence}',
        'timestamp': rfc3339(event.at),
        'payload': _payload_of_event(base, told),
    }


def frame(base: str, news: News, place: Place) -> bytes:
    """Return news as an event of a stream; what many streams tell is written once."""
    key = (base, place)
    written = news.written.get(key)
    if written is None:
        written = news.written[key] = _frame(base, news, place)
    return written


def _frame(base: str, news: News, place: Place) -> bytes:
    name, at, payload = _content(base, news)
    # Progress is of no place: it is not told again.
    place_line = '' if isinstance(news, ProgressNews) else f'id: {place_text(place)}\n'
    head = f'event: {name}\n{place_line}data: {{"timestamp":"{rfc3339(at)}","payload":'
    return b'%b%b}\n\n' % (head.encode(), payload)


def _content(base: str, news: News) -> tuple[str, datetime, bytes]:
    """Return name, time and payload of news."""
    match news:
        case EventNews(told=told):
            payload = _payload_of_event(base, told)
            return _name_of(told.event), told.event.at, _encoded(payload)
        case StateNews(summary=summary, at=at):
            return 'status', at, _encoded(_of_request(base, summary))
        case ProgressNews(execution=execution, at=at):
            summary = _of_request(base, summary_of(execution))
            known = {name: summary[name] for name in _PROGRESS if name in summary}
            return 'progress', at, _encoded(known)
        case LineNews(line=line, at=at):
            said: Json = {'number': line.number, 'stream': line.stream.value, 'text': line.text}
            return 'output', at, _encoded(said if line.whole else said | {'whole': False})
        case DroppedNews(lines=lines, at=at):
            return 'dropped', at, _encoded({'from': lines.first, 'to': lines.last})
        case ResetNews(reason=reason, bounds=bounds, at=at):
            places = {'begins': cursor_text(bounds.begins), 'ends': cursor_text(bounds.ends)}
            return 'reset', at, _encoded({'reason': reason.value, **places})
        case ResultNews(detail=detail, is_outdated=is_outdated, has_content=content, at=at):
            body = detail_body(base, detail, is_outdated=is_outdated, has_content=content)
            return 'result', at, body
    raise TypeError(f'nobody says how to write {type(news).__name__}')


_PROGRESS = ('id', 'status', 'href', 'entity', 'script_id', 'progress', 'progress_message')


def _name_of(event: Event) -> str:
    about = event.kind.value.partition('.')[0]
    return _NAMES.get(about, about)


def _payload_of_event(base: str, told: ToldEvent) -> Json:
    event = told.event
    summary = told.summary
    if event.is_of_execution:
        left = _of_request(base, summary)
    else:
        left = {'href': f'{base}/{event.subject}', **present(summary)}
    about = {
        'kind': event.kind.value,
        'sequence': event.sequence,
        'cause': event.cause,
        'actor': _actor(event.actor),
    }
    return {**left, 'change': present(about)}


def _of_request(base: str, summary: Summary) -> Json:
    """Build a summary with its paths, as far as it is known.

    Without `is_outdated`: an event tells of what was.
    """
    return {**summary, **hrefs_in(base, summary)}


def _actor(actor: Actor) -> Json:
    return present({'name': actor.name, 'role': actor.role.value, 'origin': actor.origin})


def _encoded(values: Json) -> bytes:
    return to_text(values).encode()
