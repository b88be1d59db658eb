# SPDX-License-Identifier: Apache-2.0
"""Reading the body of a request: strict JSON, in bounded time."""

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, TypeVar

from aiohttp import web

from gateway_node.http_server.errors import (
    BodyTooLarge,
    ClientSilent,
    ClientSlow,
    InvalidRequest,
    MediaTypeWrong,
)
from gateway_node.http_server.services import services
from gateway_node.strict_json import JsonRefused, parse

MAX_JSON_BYTES = 1024 * 1024
"""Bytes of a JSON body."""
_WAITED_SEC = ContextVar('waited_sec', default=0.0)
"""How long the client of a request was waited for: aiohttp gives each request a context."""
_INLINE_BYTES = 16 * 1024
"""A larger document is parsed on a thread, so that the loop is not held up."""

_T = TypeVar('_T')


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body, a JSON object.

    Raises:
        InvalidRequest: it is no strict JSON, or no object.
        MediaTypeWrong: it is not declared as JSON.
        BodyTooLarge: it is larger than MAX_JSON_BYTES.
        ClientSilent, ClientSlow: it does not come to its end in time.
    """
    if request.content_type != 'application/json':
        raise MediaTypeWrong(request.content_type, 'application/json')
    content = bytearray()
    while chunk := await from_client(request, request.content.readany()):
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise BodyTooLarge(f'the body is larger than {MAX_JSON_BYTES} bytes')
    return await parse_object(bytes(content), 'the body')


async def from_client(request: web.Request, reading: Awaitable[_T]) -> _T:
    """Wait for one piece of the body; ClientSilent or ClientSlow where it does not come in time.

    What counts is the wait for the client: the time that the gateway itself takes is its own.
    """
    patience = services(request).patience
    waited_sec = _WAITED_SEC.get()
    left_sec = patience.left_sec(request.content.total_bytes, waited_sec)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(min(patience.silence_sec, left_sec)):
            return await reading
    except TimeoutError:
        if left_sec < patience.silence_sec:
            raise ClientSlow(patience.bytes_per_sec) from None
        raise ClientSilent(patience.silence_sec) from None
    finally:
        _WAITED_SEC.set(waited_sec + loop.time() - begun)


async def parse_object(content: bytes, what: str) -> dict[str, Any]:
    """Parse strict JSON and return the object in it; InvalidRequest where it is none."""
    try:
        if len(content) > _INLINE_BYTES:
            value = await asyncio.to_thread(parse, content)
        else:
            value = parse(content)
    except JsonRefused as error:
        raise InvalidRequest(f'{what} {error}') from error
    if not isinstance(value, dict):
        raise InvalidRequest(f'{what} is no JSON object')
    return value
