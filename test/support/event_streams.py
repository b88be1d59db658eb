# SPDX-License-Identifier: Apache-2.0
"""A reader of server-sent events, as the HTML standard says (section 9.2.6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import json
from types import TracebackType
from typing import Any

from aiohttp import ClientResponse, ClientSession

EVENT_STREAM = 'text/event-stream'


@dataclass(frozen=True, kw_only=True)
class StreamedEvent:
    """One event that was dispatched."""

    name: str
    id: str
    """The last one that was told, perhaps with an event before."""
    data: Any

    @property
    def payload(self) -> Any:
        """What is in the envelope."""
        assert self.data.keys() == {'timestamp', 'payload'}
        return self.data['payload']


class EventParser:
    """Makes events of lines."""

    def __init__(self) -> None:
        self.last_id = ''
        self.comments = 0
        self.retry_ms: int | None = None
        self._name = ''
        self._data: list[str] = []

    def feed(self, line: str) -> StreamedEvent | None:
        """Take a line without its end; return the event that it completes."""
        if not line:
            return self._dispatch()
        name, _, value = line.partition(':')
        value = value.removeprefix(' ')
        if not name:
            self.comments += 1
        elif name == 'event':
            self._name = value
        elif name == 'data':
            self._data.append(value)
        elif name == 'id':
            self.last_id = value
        elif name == 'retry':
            self.retry_ms = int(value)
        else:
            raise AssertionError(f'no field of an event stream: {line!r}')
        return None

    def _dispatch(self) -> StreamedEvent | None:
        name, data = self._name, '\n'.join(self._data)
        self._name, self._data = '', []
        if not data:
            return None
        return StreamedEvent(name=name or 'message', id=self.last_id, data=json.loads(data))


def parsed(text: str) -> Iterator[StreamedEvent]:
    """Yield the events of a whole stream; what is no whole event at its end is none."""
    parser = EventParser()
    for line in text.split('\n'):
        event = parser.feed(line)
        if event is not None:
            yield event


class EventSource:
    """One connection to a stream."""

    def __init__(
        self, client: ClientSession, path: str, *, after: str | None = None, **headers: str
    ) -> None:
        self._client = client
        self._path = path
        self._headers = {'Accept': EVENT_STREAM, **headers}
        if after is not None:
            self._headers['Last-Event-ID'] = after
        self.parser = EventParser()
        self.response: ClientResponse
        self._read = b''

    async def __aenter__(self) -> 'EventSource':
        self.response = await self._client.get(self._path, headers=self._headers)
        assert self.response.status == 200, await self.response.text()
        assert self.response.headers['Content-Type'] == EVENT_STREAM
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.response.close()

    async def next(self) -> StreamedEvent | None:
        """Return the next event; None where the stream has ended."""
        while line := await self._line():
            event = self.parser.feed(line.decode().removesuffix('\n'))
            if event is not None:
                return event
        return None

    async def _line(self) -> bytes:
        """Return the next line; the stream's own `readline` takes none as long as a result is."""
        pieces = [self._read]
        while b'\n' not in pieces[-1]:
            piece = await self.response.content.readany()
            if not piece:
                break
            pieces.append(piece)
        line, end, self._read = b''.join(pieces).partition(b'\n')
        return line + end

    async def named(self, *names: str) -> StreamedEvent:
        """Return the next event with one of these names, others passed over."""
        while event := await self.next():
            if event.name in names:
                return event
        raise AssertionError(f'the stream ended without {names}')

    async def take(self, count: int) -> list[StreamedEvent]:
        """Return so many events."""
        events = [await self.next() for _ in range(count)]
        assert None not in events, events
        return [event for event in events if event is not None]

    async def rest(self) -> list[StreamedEvent]:
        """Return all events up to the end of the stream."""
        events = []
        while event := await self.next():
            events.append(event)
        return events


def names_of(events: Sequence[StreamedEvent]) -> list[str]:
    """Return what each is: a status, the number of a line, or a name."""
    return [_name_of(event) for event in events]


def _name_of(event: StreamedEvent) -> str:
    payload = event.payload
    if event.name == 'status':
        return f'status {payload["change"]["kind"]}' if 'change' in payload else 'status'
    if event.name == 'output':
        return f'line {payload["number"]}'
    return event.name
