# SPDX-License-Identifier: Apache-2.0
"""Reading a multipart upload: the `file` streamed to disk, the `metadata` beside it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import BodyPartReader, hdrs, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway_node.http_server.errors import BodyTooLarge, InvalidRequest
from gateway_node.http_server.form_body import FormBody
from gateway_node.http_server.reading import MAX_JSON_BYTES, parse_object
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.upload import Upload

_PLAIN_ENCODINGS = frozenset({'', 'binary', '7bit', '8bit', 'identity'})
_CHUNK_BYTES = 64 * 1024
_MAX_PART_HEADERS = 32
_MAX_AROUND_BYTES = 64 * 1024
"""Of a form beside the file and the metadata: boundaries, headers, what is in front and behind."""
_NO_END = 'the form has no end: its closing boundary is missing'


@dataclass(frozen=True, kw_only=True)
class ReceivedScript:
    """What a client sent."""

    upload: Upload
    file_name: str
    metadata: Metadata | None


@asynccontextmanager
async def receive(
    request: web.Request, library: ScriptLibrary, *, replacing: bool = False
) -> AsyncIterator[ReceivedScript]:
    """Receive the parts of a form; what the library has not taken at the end is removed.

    `replacing` means that they are no new script.

    Raises:
        InvalidRequest: no multipart form, an unknown or repeated part, no `file`.
        ClientSilent, ClientSlow: the form does not come to its end in time.
        ScriptsTurnedOff, UploadsTurnedOff, ScriptLimitReached: before the form is looked at.
        ScriptRefused, ScriptTooLarge, LibraryUnavailable: as their names say.
        BodyTooLarge: the form or the metadata is.
        web.HTTPUnsupportedMediaType: another content type.
    """
    upload = library.begin_upload(replacing=replacing)
    if request.content_type != 'multipart/form-data':
        raise web.HTTPUnsupportedMediaType(
            text=f'Content-Type is {request.content_type!r}; allowed: multipart/form-data'
        )
    body = FormBody(request, upload.max_bytes + MAX_JSON_BYTES + _MAX_AROUND_BYTES)
    async with upload:
        file_name: str | None = None
        document: dict[str, Any] | None = None
        async for part in _parts(request, body):
            if part.name == 'file' and file_name is None:
                file_name = await _receive_file(body, part, upload)
            elif part.name == 'metadata' and document is None:
                content = await _small_content(body, part)
                document = await parse_object(content, 'the part "metadata"')
            else:
                raise InvalidRequest(
                    f'unexpected part {part.name!r}; allowed: "file" and "metadata", once each'
                )
        if file_name is None:
            raise InvalidRequest('the part "file" is missing')
        metadata = None if document is None else parse_metadata(document)
        yield ReceivedScript(upload=upload, file_name=file_name, metadata=metadata)


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


async def _parts(request: web.Request, body: FormBody) -> AsyncIterator[BodyPartReader]:
    with _form_errors():
        # By its type it wants all of a StreamReader.
        reader = _FormReader(request.headers, cast(StreamReader, body))
        part = await reader.next()
    while part is not None:
        if not isinstance(part, BodyPartReader):
            raise InvalidRequest('a part is itself multipart; allowed: plain parts')
        if body.at_eof():
            raise InvalidRequest(_NO_END)
        _check_headers(part)
        yield part
        with _form_errors(body):
            part = await reader.next()
    await body.drain()


def _check_headers(part: BodyPartReader) -> None:
    for name in (hdrs.CONTENT_TRANSFER_ENCODING, hdrs.CONTENT_ENCODING):
        if part.headers.get(name, '').lower() not in _PLAIN_ENCODINGS:
            raise InvalidRequest(f'the part {part.name!r} is encoded; send it as it is')
    length = part.headers.get(hdrs.CONTENT_LENGTH, '0')
    if not (length.isascii() and length.isdigit()):
        raise InvalidRequest(f'the part {part.name!r} has the Content-Length {length!r:.40}')
    if len(part.headers) > _MAX_PART_HEADERS:
        raise InvalidRequest(f'a part has more than {_MAX_PART_HEADERS} headers')


async def _chunks(body: FormBody, part: BodyPartReader) -> AsyncIterator[bytes]:
    with _form_errors(body):
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            yield chunk
    if part.at_eof():
        return
    # aiohttp before 3.9.4 would now look for the rest of the part for ever.
    if hdrs.CONTENT_LENGTH in part.headers:
        raise InvalidRequest(f'the part {part.name!r} ends before its Content-Length')
    raise InvalidRequest(_NO_END)


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


async def _receive_file(body: FormBody, part: BodyPartReader, upload: Upload) -> str:
    if not part.filename:
        raise InvalidRequest('the part "file" has no file name')
    async for chunk in _chunks(body, part):
        await upload.write(chunk)
    return part.filename


async def _small_content(body: FormBody, part: BodyPartReader) -> bytes:
    content = bytearray()
    async for chunk in _chunks(body, part):
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise BodyTooLarge(f'the part "metadata" is larger than {MAX_JSON_BYTES} bytes')
    return bytes(content)
