# SPDX-License-Identifier: Apache-2.0
"""What a route answers, as OpenAPI's responses: where nothing is wrong, and each of its errors."""

from collections.abc import Iterable
from http import HTTPStatus
import inspect
from typing import Any

from aiohttp import hdrs

from gateway_node.http_server.error_table import error_body, INTERNAL_ERROR, Row, row_of
from gateway_node.http_server.media_types import JSON, offered_by
from gateway_node.http_server.once import IDEMPOTENCY_REPLAYED, MadeOnce
from gateway_node.http_server.paging import Numbered
from gateway_node.http_server.preferences import PREFERENCE_APPLIED
from gateway_node.http_server.route import BYTES, Route
from gateway_node.http_server.schema_parts import reference_to

_TEXT = {'type': 'string'}
_BINARY = {'type': 'string', 'format': 'binary'}
_HEADERS: dict[str, dict[str, Any]] = {
    hdrs.LOCATION: {
        'description': 'The path of what came into being.',
        'schema': {'type': 'string', 'format': 'uri-reference'},
    },
    hdrs.LINK: {
        'description': 'Where the list goes on (RFC 8288): `next`, `prev`, `first`, `last`.',
        'schema': _TEXT,
    },
    hdrs.CONTENT_DISPOSITION: {
        'description': 'The name of the file (RFC 6266).',
        'schema': _TEXT,
    },
    hdrs.CONTENT_RANGE: {
        'description': 'Which bytes these are, and of how many.',
        'schema': _TEXT,
    },
    hdrs.ETAG: {'description': 'Names this very content.', 'schema': _TEXT},
    IDEMPOTENCY_REPLAYED: {
        'description': '`true` where an earlier request with this Idempotency-Key made it.',
        'schema': {'const': 'true'},
    },
    PREFERENCE_APPLIED: {
        'description': 'That the end was waited for, and for how many seconds at most (RFC 7240).',
        'schema': _TEXT,
    },
    hdrs.RETRY_AFTER: {
        'description': 'After how many seconds to try again.',
        'schema': {'type': 'integer', 'minimum': 1},
    },
    hdrs.ACCEPT_ENCODING: {'description': 'What a body may be encoded in.', 'schema': _TEXT},
}
_DEFECT = 'A defect of the gateway; its log has the traceback.'


def responses_of(route: Route[Any, Any]) -> dict[str, Any]:
    """Return the responses by their status."""
    errors: dict[int, list[tuple[Row, str]]] = {INTERNAL_ERROR.status: [(INTERNAL_ERROR, _DEFECT)]}
    for kind in route.all_errors:
        row = row_of(kind)
        assert row is not None, f'{kind.__name__} has no answer'
        errors.setdefault(row.status, []).append((row, _sentence(kind)))
    others = _part(route) if route.in_parts else {}
    if route.is_validated:
        others['304'] = _KNOWN
    if route.answers_end is not None:
        others['200'] = _end(route, route.answers_end)
    if route.answers_over:
        others['204'] = _OVER
    return {str(route.status): _success(route), **others} | {
        str(status): _error(told) for status, told in sorted(errors.items())
    }


def _success(route: Route[Any, Any]) -> dict[str, Any]:
    status = HTTPStatus(route.status)
    response: dict[str, Any] = {'description': status.description or status.phrase}
    if status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        of_wait = [PREFERENCE_APPLIED] if route.answers_end is not None else []
        response['headers'] = _headers([hdrs.LOCATION, *_of_once(route), *of_wait])
    if issubclass(route.takes, Numbered):
        response['headers'] = _headers([hdrs.LINK])
    if route.answers == BYTES:
        response['headers'] = _headers([hdrs.CONTENT_DISPOSITION])
        response['content'] = {route.media_type: {'schema': _BINARY}}
    elif route.answers is not None:
        first, *others = offered_by(route.takes)
        response['content'] = {first: {'schema': reference_to(route.answers)}} | {
            media_type: {'schema': _TEXT} for media_type in others
        }
    return response


def _of_once(route: Route[Any, Any]) -> list[str]:
    return [IDEMPOTENCY_REPLAYED] if issubclass(route.takes, MadeOnce) else []


def _end(route: Route[Any, Any], schema: str) -> dict[str, Any]:
    """Return what is answered where the end was waited for, and came in time."""
    return {
        'description': 'It has ended within the time that `Prefer` gave it.',
        'headers': _headers([hdrs.LOCATION, *_of_once(route), PREFERENCE_APPLIED]),
        'content': {JSON: {'schema': reference_to(schema)}},
    }


def _part(route: Route[Any, Any]) -> dict[str, Any]:
    """Return what is answered where a part will do."""
    contents = {media_type: {'schema': _TEXT} for media_type in offered_by(route.takes)[1:]}
    if route.answers == BYTES:
        contents = {route.media_type: {'schema': _BINARY}}
    return {
        '206': {
            'description': 'The part that `Range` asks for.',
            'headers': _headers([hdrs.CONTENT_RANGE, hdrs.ETAG]),
            'content': contents,
        },
    }


def _error(told: list[tuple[Row, str]]) -> dict[str, Any]:
    """Build what one status means, which several errors may share."""
    content = {'schema': reference_to('GenericError'), 'example': error_body(*told[0])}
    response: dict[str, Any] = {
        'description': '\n'.join(f'- {_codes(row)}: {sentence}' for row, sentence in told),
        'content': {JSON: content},
    }
    if headers := _headers(dict.fromkeys(name for row, _ in told for name in row.headers)):
        response['headers'] = headers
    return response


def _codes(row: Row) -> str:
    return f'`{row.error_code}`' + (f', `{row.vendor_code}`' if row.vendor_code else '')


def _sentence(kind: type[Exception]) -> str:
    return ' '.join((inspect.getdoc(kind) or '').partition('\n\n')[0].split())


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {str(name): _HEADERS[name] for name in names}


_OVER = {'description': 'Nothing comes behind `Last-Event-ID`: all of the stream was told.'}
_KNOWN = {
    'description': 'The client has it, as `If-None-Match` says.',
    'headers': _headers([hdrs.ETAG]),
}
