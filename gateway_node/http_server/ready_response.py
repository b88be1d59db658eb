# SPDX-License-Identifier: Apache-2.0
"""A response of which all is there: head and content go over the line in one piece.

aiohttp's own fills a multi-dictionary, which it looks through and writes out: of a short answer
that is a fifth of all that it costs.
"""

from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
import re
import time

from aiohttp import hdrs, HttpVersion, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

_CONTROL = re.compile(r'[\x00-\x08\x0a-\x1f\x7f]')
_WITHOUT_CONTENT = frozenset({204, 304})
"""Statuses whose answers have none, and do not say how long it is (RFC 9110, section 8.6)."""
_SERVER_LINE = f'{hdrs.SERVER}: {SERVER_SOFTWARE}'


class ReadyResponse(web.StreamResponse):
    """Has its head and its content; the content of an answer to HEAD is left out."""

    def __init__(
        self,
        *,
        status: int,
        fields: Mapping[str, str],
        content: bytes = b'',
        goes_on: bool = False,
    ) -> None:
        """Take the header fields, those aside that any response has.

        `goes_on`: the content is only the begin of what is sent, and the end of the connection is
        the end of it (RFC 9112, section 6.3).

        ValueError where one has a control character, by which it could end.
        """
        super().__init__(status=status)
        if _CONTROL.search(''.join(fields.values())):
            raise ValueError(f'a field of the answer has a control character: {dict(fields)}')
        self.names = fields.keys()
        self._lines = [f'{name}: {value}' for name, value in fields.items()]
        self._content = content
        self._has_length = not goes_on and status not in _WITHOUT_CONTENT
        if goes_on:
            self.force_close()
        self._keeps: bool | None = None

    def add_lines(self, lines: Iterable[str]) -> None:
        """Add further fields as they go over the line, none of which is one of its `names`."""
        self._lines += lines

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays; None where that is up to the request."""
        return super().keep_alive if self._keeps is None else self._keeps

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it."""
        if self.keep_alive is None:
            self._keeps = request.keep_alive
        writer = request.writer
        head = self._head(request.version)
        await writer.write(head if request.method == hdrs.METH_HEAD else head + self._content)
        await writer.drain()
        return writer

    async def write_eof(self, data: bytes = b'') -> None:
        """Do nothing: aiohttp says by this that no more will come."""

    def _head(self, version: HttpVersion) -> bytes:
        lines = [_status_line(version, self.status), *self._lines]
        if self._has_length:
            lines.append(f'{hdrs.CONTENT_LENGTH}: {len(self._content)}')
        lines += (_date_line(int(time.time())), _SERVER_LINE)
        # HTTP/1.0 closes by itself, HTTP/1.1 keeps open.
        if self.keep_alive is not (version >= HttpVersion11):
            lines.append(f'{hdrs.CONNECTION}: {"keep-alive" if self.keep_alive else "close"}')
        lines.append('\r\n')
        return '\r\n'.join(lines).encode()


@lru_cache(maxsize=32)
def _status_line(version: HttpVersion, status: int) -> str:
    return f'HTTP/{version.major}.{version.minor} {status} {HTTPStatus(status).phrase}'


@lru_cache(maxsize=1)
def _date_line(second: int) -> str:
    return f'{hdrs.DATE}: {formatdate(second, usegmt=True)}'
