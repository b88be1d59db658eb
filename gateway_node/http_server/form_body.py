# SPDX-License-Identifier: Apache-2.0
"""The body of a form, as aiohttp's reader of forms takes it; it bounds what that gathers."""

from gateway_node.http_server.errors import BodyTooLarge, InvalidRequest
from gateway_node.http_server.reading import IncomingBody

_MAX_LINE_BYTES = 64 * 1024
"""Of all lines beside a content: a preamble, boundaries, the header of a part."""


class FormBody:
    """What `MultipartReader` uses of a StreamReader; each piece must come in time.

    aiohttp before 3.14 takes any number of lines, of any number of bytes in all. Every method that
    reads raises BodyTooLarge, InvalidRequest, ClientSilent and ClientSlow.
    """

    def __init__(self, body: IncomingBody, max_bytes: int) -> None:
        """Take the body of a request; BodyTooLarge where its Content-Length says so."""
        self._body = body
        self._content = body.request.content
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._lines = 0
        """Bytes of the lines since the last piece of a content."""
        self._check_size(body.request.content_length or 0)

    def at_eof(self) -> bool:
        """Tell whether all of it was read."""
        return not self._rest and self._content.at_eof()

    def unread_data(self, data: bytes) -> None:
        """Take back what was read."""
        self._rest[:0] = data

    async def read(self, n: int) -> bytes:
        """Read a piece of a content of at most `n` bytes; none at the end."""
        self._lines = 0
        if not self._rest:
            await self._read_more()
        return self._take(n)

    async def readline(self, *, max_line_length: int = _MAX_LINE_BYTES) -> bytes:
        """Read a line with its end; what there is where the body ends before."""
        while (end := self._rest.find(b'\n') + 1) == 0:
            self._check_lines(len(self._rest))
            if not await self._read_more():
                end = len(self._rest)
                break
        self._lines += end
        self._check_lines(0)
        return self._take(end)

    async def drain(self) -> None:
        """Read what is behind the form, to no use."""
        while self._rest or await self._read_more():
            self._rest.clear()

    async def _read_more(self) -> bool:
        piece = await self._body.piece()
        self._check_size(self._content.total_bytes)
        self._rest += piece
        return bool(piece)

    def _take(self, n: int) -> bytes:
        taken = bytes(self._rest[:n])
        del self._rest[:n]
        return taken

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise BodyTooLarge(f'the form is larger than {self._max_bytes} bytes')

    def _check_lines(self, begun: int) -> None:
        if self._lines + begun > _MAX_LINE_BYTES:
            raise InvalidRequest(
                f'the lines beside a content of the form are larger than {_MAX_LINE_BYTES} bytes'
            )
