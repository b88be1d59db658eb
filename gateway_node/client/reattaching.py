# SPDX-License-Identifier: Apache-2.0
"""Following an execution over streams of events, each of which goes on where one ended."""

from collections.abc import Iterator, Mapping
import json
import time
from typing import Any

from gateway_node.client.errors import (
    AnswerLate,
    AnswerLost,
    GatewayError,
    GatewayUnreachable,
    LimitReached,
    Unavailable,
)
from gateway_node.client.json_exchange import check, understood
from gateway_node.client.queries import target
from gateway_node.client.sent_events import sent_events, SentEvent
from gateway_node.client.transport import Pursuit, Request, Transport
from gateway_node.client.values import Dropped, Event, Execution, Line, Progress

_SILENCE_SEC = 60.0
"""Streams send something every 15 s, unless `streams.heartbeat_sec` says otherwise; one that is
silent for so long is opened anew, which loses nothing."""
_LASTING_SEC = 1.0
"""A stream that lasted so long was one, though nothing happened meanwhile: proxies end those that
are old. One that ends at once is tried for as long as the patience lasts."""


class Reattaching:
    """Follows one execution."""

    def __init__(self, transport: Transport, execution_id: str) -> None:
        self._transport = transport
        self._where = target('executions', execution_id, 'events')
        self._last_id: str | None = None
        """Behind which event of the gateway's the next stream begins."""
        self._line = 0
        """The last one that was told."""
        self._has_ended = False
        self._answered_at: float | None = None
        """When the last stream began to come; None where it did not."""

    def events(self) -> Iterator[Event]:
        """Go through what the execution does, up to its end; raises as `Gateway.follow` does."""
        pursuit = Pursuit(self._transport)
        while not self._has_ended:
            before, was_there = self._last_id, self._transport.has_answered
            self._answered_at = None
            failure: GatewayError
            try:
                yield from self._one_stream()
                failure = AnswerLost(f'GET {self._where}', 'it ended before the execution')
            except (AnswerLost, AnswerLate) as error:
                failure = error
            except (GatewayUnreachable, Unavailable) as error:
                if not was_there:
                    raise
                failure = error
            except LimitReached as error:
                if self._last_id is None:
                    raise
                # It may count the stream that ended yet.
                failure = error
            if not self._has_ended:
                pursuit.after(failure, got_on=self._last_id != before or self._lasted())

    def _lasted(self) -> bool:
        begun = self._answered_at
        return begun is not None and time.monotonic() - begun >= _LASTING_SEC

    def _one_stream(self) -> Iterator[Event]:
        headers = {'Accept': 'text/event-stream'}
        if self._last_id is not None:
            headers['Last-Event-ID'] = self._last_id
        request = Request(method='GET', target=self._where, headers=headers)
        with self._transport.stream(request, _SILENCE_SEC) as (answer, body):
            check(answer, request)
            self._answered_at = time.monotonic()
            for sent in sent_events(body.lines()):
                with understood(request):
                    event = self._read(sent)
                self._last_id = sent.last_id
                if event is not None:
                    yield event
                if self._has_ended:
                    return

    def _read(self, sent: SentEvent) -> Event | None:
        told = json.loads(sent.data)
        payload: Mapping[str, Any] = told['payload']
        match sent.kind:
            case 'result':
                self._has_ended = True
                return Execution.of(payload)
            case 'status' if 'status' in payload:
                execution = Execution.of(payload)
                # Its end is told by its result, with all that came of it.
                return None if execution.has_ended else execution
            case 'progress':
                message = payload.get('progress_message')
                return Progress(percent=payload.get('progress'), message=message)
            case 'output' if payload['number'] > self._line:
                self._line = payload['number']
                return Line.of({**payload, 'time': told['timestamp']})
            case 'dropped' if payload['to'] > self._line:
                first = max(payload['from'], self._line + 1)
                self._line = payload['to']
                return Dropped(first=first, last=self._line)
        return None
