# SPDX-License-Identifier: Apache-2.0
"""Reading the body of a request: strict JSON, in bounded time."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway_node.http_server.errors import (
    BodyTooLarge,
    ClientSilent,
    ClientSlow,
    InvalidRequest,
    MediaTypeWrong,
)
from gateway_node.http_server.services import Patience
from gateway_node.strict_json import JsonRefused, parse

MAX_JSON_BYTES = 1024 * 1024
"""Bytes of a JSON body."""
_INLINE_BYTES = 16 * 1024
"""A larger document is parsed on a thread, so that the loop is not held up."""


class IncomingBody:
    """The body of a request, of which each piece has to come in time."""

    def __init__(
        self, request: web.BaseRequest, patience: Patience, check_sender: Callable[[], None]
    ) -> None:
        """`check_sender` is called at the end: it raises where they are let in no more."""
        self.request = request
        self._patience = patience
        self._check_sender = check_sender
        self._waited_sec = 0.0
        """For the client: the time that the gateway itself takes is its own."""

    async def piece(self) -> bytes:
        """Wait for what comes next of it; nothing at its end.

        ClientSilent, ClientSlow, NotAuthenticated.
        """
        piece = await self._next()
        if not piece:
            # A body may take hours, and what it is for is done behind it.
            self._check_sender()
        return piece

    async def _next(self) -> bytes:
        content = self.request.content
        if content.is_eof():
            # All of it has come, though it is not read.
            return await content.readany()
        patience = self._patience
        left_sec = patience.left_sec(content.total_bytes, self._waited_sec)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(min(patience.silence_sec, left_sec)):
                return await content.readany()
        except TimeoutError:
            if left_sec < patience.silence_sec:
                raise ClientSlow(patience.bytes_per_sec) from None
            raise ClientSilent(patience.silence_sec) from None
        finally:
            self._waited_sec += loop.time() - begun


async def json_object(body: IncomingBody) -> dict[str, Any]:
    """Return the body, a JSON object.

    Raises:
        InvalidRequest: it is no strict JSON, or no object.
        MediaTypeWrong: it is not declared as JSON.
        BodyTooLarge: it is larger than MAX_JSON_BYTES.
        ClientSilent, ClientSlow: it does not come to its end in time.
    """
    if body.request.content_type != 'application/json':
        raise MediaTypeWrong(body.request.content_type, 'application/json')
    return await parse_object(await content_of(body, MAX_JSON_BYTES), 'the body')


async def content_of(body: IncomingBody, max_bytes: int) -> bytes:
    """Return all of a body; BodyTooLarge, ClientSilent, ClientSlow."""
    content = bytearray()
    while piece := await body.piece():
        content += piece
        if len(content) > max_bytes:
            raise BodyTooLarge(f'the body is larger than {max_bytes} bytes')
    return bytes(content)


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
