# SPDX-License-Identifier: Apache-2.0
"""From what a handler answers to what goes over the line."""

from collections.abc import AsyncIterator, Mapping
import json
import logging
import socket
import struct
from urllib.parse import quote

from aiohttp import hdrs, HttpVersion11, web

from gateway_node.http_server.calls import (
    Answer,
    Document,
    Download,
    EventStream,
    FilePart,
    Stream,
    TextPart,
)
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.event_stream import EventStreamResponse
from gateway_node.http_server.media_types import JSON, TEXT
from gateway_node.http_server.once import IDEMPOTENCY_REPLAYED
from gateway_node.http_server.parts import entity_tag, is_known, OfKnown, part_of
from gateway_node.http_server.preferences import PREFERENCE_APPLIED
from gateway_node.http_server.ready_response import ReadyResponse
from gateway_node.http_server.targets import link_field

_log = logging.getLogger(__name__)

_UTF_8 = '; charset=utf-8'

# json.dumps makes an encoder for each call with other than the default settings.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def response_to(
    answer: Answer, *, status: int, request: web.BaseRequest, chosen: bool = False
) -> web.StreamResponse:
    """Build the response; to HEAD, of which no body is sent.

    `chosen` says that `Accept` decides what is answered.
    """
    head = request.method == hdrs.METH_HEAD
    headers: dict[str, str] = {hdrs.VARY: hdrs.ACCEPT} if chosen else {}
    if isinstance(answer.body, Download):
        return _download(answer.body, status, request, headers, head=head)
    if isinstance(answer.body, FilePart):
        return _file(answer.body, status, request, headers)
    if isinstance(answer.body, TextPart):
        return _text(answer.body, status, headers, head=head)
    headers.update(_told_in_headers(answer))
    if isinstance(answer.body, Stream):
        return _stream(answer.body, status, request, headers)
    if isinstance(answer.body, EventStream):
        return EventStreamResponse(answer.body, headers)
    if answer.body is None:
        return ReadyResponse(status=status, fields=headers)
    document = answer.body
    if not isinstance(document, Document):
        document = Document(content=_encode(document).encode(), media_type=JSON)
    return _document(document, answer.asked, status, headers)


def _told_in_headers(answer: Answer) -> dict[str, str]:
    """Return what stands in headers, whatever the body."""
    headers: dict[str, str] = {}
    if answer.location is not None:
        headers[hdrs.LOCATION] = answer.location
    if links := link_field(answer.links):
        headers[hdrs.LINK] = links
    if answer.replayed:
        headers[IDEMPOTENCY_REPLAYED] = 'true'
    if answer.preference is not None:
        headers[PREFERENCE_APPLIED] = answer.preference
    return headers


def attachment(file_name: str) -> str:
    """Build the Content-Disposition of a download (RFC 6266).

    A name that does not fit stands twice: with `_` for what clients disagree about, and whole as
    RFC 8187 has it, which goes before the other.
    """
    plain = ''.join(
        each if ' ' <= each <= '~' and each not in '"\\%' else '_' for each in file_name
    )
    whole = quote(file_name, safe='', errors='replace')
    return f'attachment; filename="{plain}"' + (
        f"; filename*=UTF-8''{whole}" if plain != file_name else ''
    )


def _document(
    document: Document, asked: OfKnown | None, status: int, headers: dict[str, str]
) -> ReadyResponse:
    headers.update(document.headers)
    if asked is not None:
        tag = document.tag or entity_tag(document.content)
        headers[hdrs.ETAG] = tag
        # Whoever keeps it asks whether it is still the same.
        headers[hdrs.CACHE_CONTROL] = 'no-cache'
        if is_known(asked, tag):
            return ReadyResponse(status=304, fields=headers)
    media_type = document.media_type
    is_text = media_type == JSON or media_type.startswith('text/')
    headers[hdrs.CONTENT_TYPE] = media_type + (_UTF_8 if is_text else '')
    return ReadyResponse(status=status, fields=headers, content=document.content)


def _text(text: TextPart, status: int, headers: dict[str, str], *, head: bool) -> ReadyResponse:
    """Build the response to GET, of which a part may do, or to HEAD (RFC 9110, section 14.2)."""
    content = text.content
    headers |= {hdrs.ETAG: text.tag, hdrs.ACCEPT_RANGES: 'bytes'}
    if text.file_name is not None:
        headers[hdrs.CONTENT_DISPOSITION] = attachment(text.file_name)
    if is_known(text.asked, text.tag):
        return ReadyResponse(status=304, fields=headers)
    part = None if head else part_of(text.asked, text.tag, len(content))
    if part is not None:
        begin, end = part
        headers[hdrs.CONTENT_RANGE] = f'bytes {begin}-{end - 1}/{len(content)}'
        content, status = content[begin:end], 206
    headers[hdrs.CONTENT_TYPE] = f'{TEXT}{_UTF_8}'
    return ReadyResponse(status=status, fields=headers, content=content)


def _download(
    download: Download,
    status: int,
    request: web.BaseRequest,
    headers: Mapping[str, str],
    *,
    head: bool,
) -> web.Response:
    content = download.content
    if head:
        content.close()
    return web.Response(
        status=status,
        body=_sent(content.pieces(), request),
        content_type='application/octet-stream',
        headers={
            **headers,
            hdrs.CONTENT_DISPOSITION: attachment(download.file_name),
            hdrs.CONTENT_LENGTH: str(content.size),
        },
    )


def _file(
    file: FilePart, status: int, request: web.BaseRequest, headers: dict[str, str]
) -> web.StreamResponse:
    """Build the response to GET, of which a part may do, or to HEAD (RFC 9110, section 14.2)."""
    headers |= {
        hdrs.ETAG: file.tag,
        hdrs.CACHE_CONTROL: 'no-cache',
        hdrs.ACCEPT_RANGES: 'bytes',
        hdrs.CONTENT_DISPOSITION: attachment(file.file_name),
    }
    if is_known(file.asked, file.tag):
        return ReadyResponse(status=304, fields=headers)
    begin, end = 0, file.size
    part = None
    if request.method != hdrs.METH_HEAD:
        part = part_of(file.asked, file.tag, file.size)
    if part is not None:
        begin, end = part
        headers[hdrs.CONTENT_RANGE] = f'bytes {begin}-{end - 1}/{file.size}'
        status = 206
    return web.Response(
        status=status,
        body=_sent(file.pieces(begin, end), request),
        content_type=file.media_type,
        headers=headers | {hdrs.CONTENT_LENGTH: str(end - begin)},
    )


def _stream(
    stream: Stream, status: int, request: web.BaseRequest, headers: Mapping[str, str]
) -> web.Response:
    if request.version < HttpVersion11 and request.method != hdrs.METH_HEAD:
        _reset_where_closed(request, True)
    return web.Response(
        status=status,
        body=_sent(_whole(stream.pieces, request), request),
        content_type=stream.media_type,
        charset='utf-8',
        headers={**headers, hdrs.CONTENT_DISPOSITION: attachment(stream.file_name)},
    )


async def _sent(pieces: AsyncIterator[bytes], request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Have the connection know what is added to its output: so it sees how much is taken of it."""
    connection = request.protocol
    async for piece in pieces:
        if isinstance(connection, Connection):
            connection.note_output(len(piece))
        yield piece


async def _whole(pieces: AsyncIterator[bytes], request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Break the connection where not all pieces come; what was sent must not pass for all.

    Without the last chunk HTTP/1.1 tells so by itself; in HTTP/1.0 the end of the connection is
    the end of the body, so that it is reset, whoever closes it before all is there (RFC 9112,
    section 8).
    """
    try:
        async for piece in pieces:
            yield piece
    except Exception as error:
        _log.warning('%s %s was not answered to the end: %s', request.method, request.path, error)
        raise ConnectionAbortedError(str(error)) from error
    if request.version < HttpVersion11:
        _reset_where_closed(request, False)


def _reset_where_closed(request: web.BaseRequest, reset: bool) -> None:
    """Have the connection close in a way that is no end, or as usual (man 7 socket, SO_LINGER)."""
    if request.transport is not None:
        connection = request.transport.get_extra_info('socket')
        linger = struct.pack('ii', reset, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
