# SPDX-License-Identifier: Apache-2.0
"""The one table from a domain error to an HTTP status and a SOVD GenericError."""

from collections.abc import Iterable
from dataclasses import dataclass, field
import json
import logging
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from gateway_node.entities import errors as entities
from gateway_node.executions import errors as executions
from gateway_node.scripts import errors as scripts

_log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 64 * 1024
"""Of a request; aiohttp by itself bounds each field, and before 3.14 not their number."""
RETRY_AFTER_SEC = 1
"""What a client that was refused for the moment is told to wait."""


class InvalidParameter(Exception):
    """A value in the path, the query or the body is not allowed."""


class InvalidRequest(Exception):
    """The request is malformed, or lacks a part that it must have."""


class ContentNotFound(Exception):
    """A script is known, and where its file should be is none."""

    def __init__(self, script_id: str, how: str = 'gone') -> None:
        super().__init__(f'the file of script {script_id!r} is {how}')
        self.script_id = script_id


class HostForeign(Exception):
    """The request is for a host that is not this gateway's."""

    def __init__(self, host: str) -> None:
        # Without the names that are ours: the page that reads this may be anybody's.
        super().__init__(
            f'Host is {host[:80]!r}; allowed: an IP address, localhost, the names of this host '
            'and those in server.allowed_hosts'
        )
        self.host = host


class OriginForeign(Exception):
    """A page of somebody else would change something here."""

    def __init__(self, header: str, value: str) -> None:
        super().__init__(
            f'{header} is {value[:80]!r}; a page changes something here only where it is this '
            "gateway's own"
        )
        self.header = header
        self.value = value


class ExpectationUnknown(Exception):
    """`Expect` asks for what no server has."""

    def __init__(self, expectation: str) -> None:
        super().__init__(f'Expect is {expectation[:80]!r}; allowed: 100-continue')
        self.expectation = expectation


class BodyEncoded(Exception):
    """`Content-Encoding` says that the body is not as it is."""

    def __init__(self, codings: str) -> None:
        super().__init__(f'Content-Encoding is {codings[:80]!r}; allowed: identity')
        self.codings = codings


class TransferCodingUnknown(Exception):
    """`Transfer-Encoding` names what nobody here undoes."""

    def __init__(self, codings: str) -> None:
        super().__init__(f'Transfer-Encoding is {codings[:80]!r}; allowed: chunked')
        self.codings = codings


class ClientSilent(Exception):
    """A client began a body and sent nothing more for too long."""

    def __init__(self, silence_sec: float) -> None:
        super().__init__(f'no byte of the body came for {silence_sec:g} s')
        self.silence_sec = silence_sec


class ClientSlow(Exception):
    """A client sends a body more slowly than anybody has to wait for it."""

    def __init__(self, bytes_per_sec: float) -> None:
        super().__init__(f'the body came at less than {bytes_per_sec:g} bytes a second')
        self.bytes_per_sec = bytes_per_sec


class HeaderLate(Exception):
    """A client did not bring the header of a request to its end."""

    def __init__(self, header_sec: float) -> None:
        super().__init__(f'the header of the request was not complete within {header_sec:g} s')
        self.header_sec = header_sec


class HeaderTooLarge(Exception):
    """The header of a request is larger than any has to be."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f'the header of the request is larger than {max_bytes} bytes')
        self.max_bytes = max_bytes


class TooManyConnections(Exception):
    """There is no place for another connection."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f'there is no room for this connection: {limit} may be open, half from one address'
        )
        self.limit = limit


class BodyTooLarge(Exception):
    """The body is larger than this route takes."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one kind of error is answered."""

    status: int
    error_code: str
    vendor_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """The connection ends with the answer."""


_RETRY = {'Retry-After': str(RETRY_AFTER_SEC)}
_INVALID_PARAMETER = Row(status=400, error_code='invalid-parameter')
_INVALID_REQUEST = Row(status=400, error_code='invalid-request')
_NO_ACCESS = Row(status=403, error_code='insufficient-access-rights')
_NOT_FOUND = Row(status=404, error_code='resource-not-found')
_CONFLICT = Row(status=409, error_code='invalid-request')
_NOT_IMPLEMENTED = Row(status=501, error_code='not-implemented')


def _vendor(status: int, vendor_code: str, headers: dict[str, str] | None = None) -> Row:
    return Row(
        status=status,
        error_code='vendor-error',
        vendor_code=f'x-gateway-{vendor_code}',
        headers=headers or {},
    )


_TOO_LATE = Row(status=408, error_code='invalid-request', closes=True)
_TOO_LARGE = _vendor(413, 'too-large')
_INTERNAL = _vendor(500, 'internal-error')

ERROR_TABLE: dict[type[Exception], Row] = {
    InvalidParameter: _INVALID_PARAMETER,
    InvalidRequest: _INVALID_REQUEST,
    ContentNotFound: _NOT_FOUND,
    HostForeign: Row(status=421, error_code='invalid-request'),
    OriginForeign: _NO_ACCESS,
    ExpectationUnknown: Row(status=417, error_code='invalid-request'),
    BodyEncoded: Row(
        status=415, error_code='invalid-request', headers={hdrs.ACCEPT_ENCODING: 'identity'}
    ),
    TransferCodingUnknown: _NOT_IMPLEMENTED,
    ClientSilent: _TOO_LATE,
    ClientSlow: _TOO_LATE,
    HeaderLate: _TOO_LATE,
    HeaderTooLarge: Row(status=431, error_code='invalid-request', closes=True),
    TooManyConnections: _vendor(503, 'too-many-connections', _RETRY),
    BodyTooLarge: _TOO_LARGE,
    entities.EntityNotFound: _NOT_FOUND,
    entities.AreaNotFound: _NOT_FOUND,
    entities.FunctionNotFound: _NOT_FOUND,
    scripts.ScriptNotFound: _NOT_FOUND,
    scripts.ScriptIsManaged: _CONFLICT,
    scripts.ScriptTooLarge: _TOO_LARGE,
    scripts.ScriptRefused: _INVALID_PARAMETER,
    scripts.ParametersInvalid: _INVALID_PARAMETER,
    scripts.ScriptsTurnedOff: _NOT_IMPLEMENTED,
    scripts.ScriptLimitReached: _vendor(429, 'limit-reached', _RETRY),
    scripts.UploadsTurnedOff: _NO_ACCESS,
    scripts.LibraryUnavailable: _vendor(503, 'storage-unavailable', _RETRY),
    scripts.SchemaCheckUnavailable: _vendor(503, 'schema-check-unavailable', _RETRY),
    executions.ExecutionNotFound: _NOT_FOUND,
    executions.ExecutionNotStoppable: _CONFLICT,
    executions.ExecutionNotDeletable: _CONFLICT,
    executions.ScriptHasOpenExecutions: _CONFLICT,
    executions.ScriptAlreadyRunning: _CONFLICT,
    executions.ConcurrencyLimitReached: _vendor(429, 'limit-reached', _RETRY),
    executions.ScheduleLimitReached: _vendor(429, 'limit-reached', _RETRY),
    executions.FeatureNotAvailable: _NOT_IMPLEMENTED,
    executions.RunnerUnavailable: _vendor(503, 'runner-unavailable', _RETRY),
    executions.StoreUnavailable: _vendor(503, 'storage-unavailable', _RETRY),
    executions.GatewayShuttingDown: _vendor(503, 'shutting-down', _RETRY),
}


def generic_error(
    row: Row, message: str, parameters: dict[str, Any] | None = None
) -> web.Response:
    """Build the answer: a GenericError `{error_code, message, vendor_code?, parameters?}`."""
    body: dict[str, Any] = {'error_code': row.error_code, 'message': message}
    if row.vendor_code is not None:
        body['vendor_code'] = row.vendor_code
    if parameters:
        body['parameters'] = parameters
    response = web.Response(
        status=row.status,
        text=json.dumps(body, ensure_ascii=False),
        content_type='application/json',
        headers=row.headers,
    )
    if row.closes:
        response.force_close()
    return response


def whole_answer(error: Exception) -> bytes:
    """Return all bytes of the answer to a connection whose request has not come."""
    response = generic_error(ERROR_TABLE[type(error)], str(error))
    content = cast(bytes, response.body)
    lines = [
        f'HTTP/1.1 {response.status} {response.reason}',
        *(f'{name}: {value}' for name, value in response.headers.items()),
        f'Content-Length: {len(content)}',
        'Connection: close',
    ]
    return '\r\n'.join([*lines, '', '']).encode() + content


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler, and aiohttp's own, into a GenericError."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _http_exception(request, error)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        return generic_error(_INVALID_REQUEST, f'the body cannot be read: {error}')
    except ConnectionError as error:
        # Nobody reads this answer, unless only the client's side of the connection has ended.
        _log.debug('%s %s: the client went away', request.method, request.path)
        return generic_error(_INVALID_REQUEST, f'the connection broke: {error}')
    except Exception as error:
        return _domain_error(request, error)


def _domain_error(request: web.Request, error: Exception) -> web.Response:
    for kind in type(error).__mro__:
        row = ERROR_TABLE.get(kind)
        if row is not None:
            return generic_error(row, str(error), _violations(error))
    _log.exception('%s %s failed', request.method, request.path)
    return generic_error(_INTERNAL, 'an internal error; the log of the gateway has the traceback')


def _violations(error: Exception) -> dict[str, Any]:
    found: Iterable[scripts.Violation] = getattr(error, 'violations', ())
    listed = [{'path': violation.path, 'reason': violation.reason} for violation in found]
    return {'violations': listed} if listed else {}


def _http_exception(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    if error.status == 404:
        return generic_error(_NOT_FOUND, f'no resource {request.path!r}')
    if error.status == 413:
        return generic_error(_TOO_LARGE, 'the body is too large')
    if error.status >= 500:
        return generic_error(_INTERNAL, error.reason)
    headers = {name: error.headers[name] for name in ('Allow',) if name in error.headers}
    row = Row(status=error.status, error_code='invalid-request', headers=headers)
    message = error.text or error.reason
    if error.status == 405:
        message = f'{request.method} is not allowed here; allowed: {headers.get("Allow")}'
    return generic_error(row, message)
