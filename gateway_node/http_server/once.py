# SPDX-License-Identifier: Apache-2.0
"""Requests that make something once, however often they come: `Idempotency-Key`.

The header is that of draft-ietf-httpapi-idempotency-key-header: a structured string (RFC 9651), or
the same without quotes. Keys of different clients, and of different paths, are different keys.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
import datetime
import enum
import json
import re
from typing import Any, TypeVar
from urllib.parse import unquote

from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.once_only import Made
from gateway_node.executions.values import Execution
from gateway_node.http_server.calls import Call
from gateway_node.http_server.fields import Field, refused, shown
from gateway_node.http_server.takes import header, taken_by

T = TypeVar('T')

IDEMPOTENCY_KEY = 'Idempotency-Key'
IDEMPOTENCY_REPLAYED = 'Idempotency-Replayed'
MAX_KEY_CHARACTERS = 255

_CHARACTER = r'(?:[!#-\[\]-~]|\\["\\])'
"""One of a structured string."""
_PLAIN = r'[!#-+\--:<-\[\]-~]'
"""One that needs no quotes."""
_QUOTED = re.compile(f'"({_CHARACTER}*)"')
_BARE = re.compile(f'{_PLAIN}*')


class Key(Field[str]):
    """The name that a client gives a request."""

    def read(self, value: object) -> str:
        """Return the name, without the quotes of a structured string."""
        text = str(value).strip(' \t')
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            text = re.sub(r'\\(.)', r'\1', quoted[1])
        elif not _BARE.fullmatch(text):
            text = ''
        if not 0 < len(text) <= MAX_KEY_CHARACTERS:
            raise refused(
                f'is {shown(value)}; allowed: 1 to {MAX_KEY_CHARACTERS} visible characters of '
                'ASCII, in quotes or, where none is a quote, a comma, a semicolon or a backslash, '
                'without'
            )
        return text

    def schema(self) -> dict[str, Any]:
        """Tell both forms."""
        bounds = f'{{1,{MAX_KEY_CHARACTERS}}}'
        return {'type': 'string', 'pattern': f'^(?:"{_CHARACTER}{bounds}"|{_PLAIN}{bounds})$'}


@dataclass(frozen=True, kw_only=True)
class MadeOnce:
    """Takes the name that a client gives a request, so that it is made once."""

    idempotency_key: str | None = header(
        IDEMPOTENCY_KEY,
        Key(),
        default=None,
        about='Names the request: sent again with the same fields, it makes nothing and is '
        'answered with what was made.',
    )


async def started_once(
    call: Call[Any, Any],
    start: Callable[[IdempotencyKey | None], Awaitable[Execution]],
) -> Made[Execution]:
    """Start what the body asks for, or return what was started under the key of the call.

    `start` has the execution recorded with the key; raises what it raises, and what
    `OnceOnly.make` and `Questions.get_by_id` raise.
    """
    find = call.services.questions.get_by_id
    fields = {} if call.at.idempotency_key is None else given_in(call.body)
    return await made_once(call, fields, start, find)


async def made_once(
    call: Call[Any, Any],
    fields: Mapping[str, Any],
    make: Callable[[IdempotencyKey | None], Awaitable[T]],
    find: Callable[[str], Awaitable[T]],
) -> Made[T]:
    """Make what the fields, JSON values, ask for, or return what was made under the key of the
    call, which `find` finds by its id; raises what both raise, and what `OnceOnly.make` raises.

    `make` keeps the key with what it makes.
    """
    name = call.at.idempotency_key
    if name is None:
        return Made(resource=await make(None))
    path = unquote(call.target.path.removeprefix(call.base))
    once_only = call.services.once_only
    key = once_only.key(_canonical(['POST', path, call.actor.name]), name, wish=_canonical(fields))
    return await once_only.make(key, lambda: make(key), find)


def given_in(body: Any) -> dict[str, Any]:
    """Return what a body says, as JSON values, without what it says by default.

    So a field that only later versions know changes nothing of what was asked for.
    """
    values = ((taken, getattr(body, taken.attribute)) for taken in taken_by(type(body)))
    return {taken.name: value for taken, value in values if value != taken.default}


def _canonical(values: object) -> str:
    """Return JSON values as a text that is the same for the same values."""
    return json.dumps(values, sort_keys=True, separators=(',', ':'), default=_as_json)


def _as_json(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    raise TypeError(f'{type(value).__name__} is no JSON value')
