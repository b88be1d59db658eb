# SPDX-License-Identifier: Apache-2.0
"""The parts of a multipart form (RFC 7578), one after the other, as aiohttp reads them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import BodyPartReader, hdrs, MultipartReader, StreamReader
from aiohttp.http_exceptions import HttpProcessingError

from gateway_node.http_server.errors import InvalidRequest, MediaTypeWrong
from gateway_node.http_server.form_body import FormBody
from gateway_node.http_server.reading import IncomingBody

MEDIA_TYPE = 'multipart/form-data'

_PLAIN_ENCODINGS = frozenset({'', 'binary', '7bit', '8bit', 'identity'})
_CHUNK_BYTES = 64 * 1024
_MAX_PART_HEADERS = 32
_NO_END = 'the form has no end: its closing boundary is missing'


class MultipartForm:
    """The form that a request brings; `uploads.Form`."""

    def __init__(self, body: IncomingBody) -> None:
        self._body = body

    def parts(self, max_bytes: int) -> AsyncIterator['MultipartPart']:
        """Begin to read the form, which may have so many bytes.

        Raises:
            MediaTypeWrong: it is no form. This, and BodyTooLarge for what the header says already,
                at once; the others as the parts are gone through.
            InvalidRequest: it is broken.
            BodyTooLarge, ClientSilent, ClientSlow: as their names say.
        """
        media_type = self._body.request.content_type
        if media_type != MEDIA_TYPE:
            raise MediaTypeWrong(media_type, MEDIA_TYPE)
        return self._read(FormBody(self._body, max_bytes))

    async def _read(self, body: FormBody) -> AsyncIterator['MultipartPart']:
        with _form_errors():
            # By its type it wants all of a StreamReader.
            reader = _FormReader(self._body.request.headers, cast(StreamReader, body))
            part = await reader.next()
        while part is not None:
            if not isinstance(part, BodyPartReader):
                raise InvalidRequest('a part is itself multipart; allowed: plain parts')
            if body.at_eof():
                raise InvalidRequest(_NO_END)
            _check_headers(part)
            yield MultipartPart(body, part)
            with _form_errors(body):
                part = await reader.next()
        await body.drain()


class MultipartPart:
    """One part; `uploads.Part`."""

    def __init__(self, body: FormBody, part: BodyPartReader) -> None:
        self._body = body
        self._part = part
        self.name = part.name
        """None where it has none."""
        self.file_name = part.filename
        """None where it has none."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read what is in it, a piece at a time; what `MultipartForm.parts` says."""
        with _form_errors(self._body):
            while chunk := await self._part.read_chunk(_CHUNK_BYTES):
                yield chunk
        if self._part.at_eof():
            return
        # aiohttp before 3.9.4 would now look for the rest of the part for ever.
        if hdrs.CONTENT_LENGTH in self._part.headers:
            raise InvalidRequest(f'the part {self.name!r} ends before its Content-Length')
        raise InvalidRequest(_NO_END)


class _FormReader(MultipartReader):
    """Refuses by its name what aiohttp would read by itself, and wrongly (since 3.10)."""

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        part = await super().fetch_next_part()
        if isinstance(part, BodyPartReader) and part.name == '_charset_':
            raise InvalidRequest(
                'the part "_charset_" is not allowed: metadata is UTF-8; allowed: "file" and '
                '"metadata"'
            )
        return part


def _check_headers(part: BodyPartReader) -> None:
    for name in (hdrs.CONTENT_TRANSFER_ENCODING, hdrs.CONTENT_ENCODING):
        if part.headers.get(name, '').lower() not in _PLAIN_ENCODINGS:
            raise InvalidRequest(f'the part {part.name!r} is encoded; send it as it is')
    length = part.headers.get(hdrs.CONTENT_LENGTH, '0')
    if not (length.isascii() and length.isdigit()):
        raise InvalidRequest(f'the part {part.name!r} has the Content-Length {length!r:.40}')
    if len(part.headers) > _MAX_PART_HEADERS:
        raise InvalidRequest(f'a part has more than {_MAX_PART_HEADERS} headers')


@contextmanager
def _form_errors(begun: FormBody | None = None) -> Iterator[None]:
    """Translate how aiohttp says that boundaries, lengths, headers or a charset are broken.

    `begun` is the body of a form whose first part was found: where it is at its end now, what
    is missing is the end of the form.
    """
    try:
        yield
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError) as error:
        if begun is not None and begun.at_eof():
            raise InvalidRequest(_NO_END) from error
        reason = getattr(error, 'message', error)
        raise InvalidRequest(f'the body is no multipart form: {reason}') from error
