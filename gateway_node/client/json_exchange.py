# SPDX-License-Identifier: Apache-2.0
"""What is asked in JSON, and what is read of the answer or raised by it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
from datetime import datetime, UTC
import json
import secrets
from typing import Any, TypeVar

from gateway_node.client.errors import AnswerNotUnderstood, NotFound, refusal, Refused
from gateway_node.client.transport import Answer, IDEMPOTENCY_KEY, Request, Transport
from gateway_node.client.values import GenericError

_Read = TypeVar('_Read')


def get(where: str) -> Request:
    """Ask for what is at a target below the base."""
    return Request(method='GET', target=where)


def with_key(key: str | None) -> Mapping[str, str]:
    """Return the header by which what is asked for is made once, however often it is asked for.

    Without a key it is one that nothing else has.
    """
    return {IDEMPOTENCY_KEY: secrets.token_hex(16) if key is None else key}


def with_json(
    method: str, where: str, fields: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Request:
    """Ask with a body of the fields that are not None."""
    given = {name: value for name, value in fields.items() if value is not None}
    return Request(
        method=method,
        target=where,
        content=json.dumps(given, default=_plain, allow_nan=False).encode(),
        headers={'Content-Type': 'application/json', **(headers or {})},
    )


def _plain(value: object) -> object:
    """Return what JSON has no form for, as mappings and sequences of whatever kind."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f'JSON has no form for {value!r}')


class Api:
    """What is asked in JSON over a transport; all of it raises as `Transport.exchange` does.

    Refused where the gateway refuses, AnswerNotUnderstood where a reader finds nothing.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def read(
        self, request: Request, reader: Callable[[Any], _Read], *, pursued: bool = False
    ) -> _Read:
        """Return what the reader makes of the answer."""
        return _read(self._transport.exchange(request, pursued=pursued), request, reader)

    def change(
        self, request: Request, reader: Callable[[Any], _Read], done: type[Refused]
    ) -> _Read | None:
        """Return what the reader makes of the answer; None where an earlier request, whose
        answer was lost, has done it: where this one is refused as `done`."""
        answer = self._transport.exchange(request)
        try:
            return _read(answer, request, reader)
        except done:
            if not answer.repeated:
                raise
            return None

    def delete(self, where: str) -> None:
        """Have what is there deleted."""
        self.change(Request(method='DELETE', target=where), lambda _: None, NotFound)


def _read(answer: Answer, request: Request, reader: Callable[[Any], _Read]) -> _Read:
    check(answer, request)
    with understood(request):
        return reader(json.loads(answer.content or b'null'))


def check(answer: Answer, request: Request) -> None:
    """Raise Refused where an answer is a refusal."""
    if 200 <= answer.status < 300:
        return
    with understood(request):
        error = GenericError.of(json.loads(answer.content))
    raise refusal(answer.status, error, answer.headers.get('Retry-After'))


@contextlib.contextmanager
def understood(request: object) -> Iterator[None]:
    """Raise AnswerNotUnderstood where an answer is not as it is read."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise AnswerNotUnderstood(str(request), repr(error)) from error
