# SPDX-License-Identifier: Apache-2.0
"""The one table from a domain error to an HTTP status and a SOVD GenericError."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
import json
import logging
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway_node.access import errors as access
from gateway_node.access import session_errors as sessions
from gateway_node.callbacks import errors as callbacks
from gateway_node.entities import errors as entities
from gateway_node.evidence import errors as evidence
from gateway_node.executions import errors as executions
from gateway_node.executions import proximity
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.preconditions import PreconditionsUnmet
from gateway_node.http_server import errors as requests
from gateway_node.http_server.answer_fields import PROTECTIVE
from gateway_node.scripts import errors as scripts
from gateway_node.triggers import errors as triggers
from gateway_node.violations import Violation

_log = logging.getLogger(__name__)

RETRY_AFTER_SEC = 1
"""What a client that was refused for the moment is told to wait."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one kind of error is answered."""

    status: int
    error_code: str
    vendor_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """The connection ends with the answer."""
    oauth_error: str | None = None
    """What clients of OAuth read (RFC 6749, section 5.2)."""


_RETRY = {'Retry-After': str(RETRY_AFTER_SEC)}
_RETRY_SOON = {'Retry-After': '10'}
_RETRY_LATER = {'Retry-After': '60'}
_INVALID_PARAMETER = Row(status=400, error_code='invalid-parameter')
_INVALID_REQUEST = Row(status=400, error_code='invalid-request')
_NOT_KNOWN = Row(status=401, error_code='insufficient-access-rights')
_NO_ACCESS = Row(status=403, error_code='insufficient-access-rights')
_NOT_FOUND = Row(status=404, error_code='resource-not-found')
_PRECONDITION = Row(status=409, error_code='precondition-not-fulfilled')
_CONFLICT = Row(status=409, error_code='invalid-request')
_NOT_IMPLEMENTED = Row(status=501, error_code='not-implemented')


def _no_token(oauth_error: str, row: Row = _INVALID_REQUEST) -> Row:
    return replace(row, oauth_error=oauth_error)


def _vendor(status: int, vendor_code: str, headers: dict[str, str] | None = None) -> Row:
    return Row(
        status=status,
        error_code='vendor-error',
        vendor_code=f'x-gateway-{vendor_code}',
        headers=headers or {},
    )


_TOO_LATE = Row(status=408, error_code='invalid-request', closes=True)
_TOO_LARGE = _vendor(413, 'too-large')
INTERNAL_ERROR = _vendor(500, 'internal-error')
"""A defect: any route may have one."""

ERROR_TABLE: dict[type[Exception], Row] = {
    requests.InvalidParameter: _INVALID_PARAMETER,
    requests.InvalidRequest: _INVALID_REQUEST,
    requests.MediaTypeWrong: Row(status=415, error_code='invalid-request'),
    requests.ContentNotFound: _NOT_FOUND,
    requests.NothingHere: _NOT_FOUND,
    requests.EventNotFound: _NOT_FOUND,
    requests.TooManyStreams: _vendor(429, 'limit-reached', _RETRY),
    requests.HostForeign: Row(status=421, error_code='invalid-request'),
    requests.OriginForeign: _NO_ACCESS,
    requests.ExpectationUnknown: Row(status=417, error_code='invalid-request'),
    requests.BodyEncoded: Row(
        status=415, error_code='invalid-request', headers={hdrs.ACCEPT_ENCODING: 'identity'}
    ),
    requests.TransferCodingUnknown: _NOT_IMPLEMENTED,
    requests.ClientSilent: _TOO_LATE,
    requests.ClientSlow: _TOO_LATE,
    requests.HeaderLate: _TOO_LATE,
    requests.HeaderTooLarge: Row(status=431, error_code='invalid-request', closes=True),
    requests.TooManyAtWork: _vendor(429, 'limit-reached', _RETRY),
    requests.TooManyConnections: _vendor(503, 'too-many-connections', _RETRY),
    requests.BodyTooLarge: _TOO_LARGE,
    requests.RangeUnsatisfiable: Row(status=416, error_code='invalid-request'),
    access.NotAuthenticated: _NOT_KNOWN,
    access.RoleTooLow: _NO_ACCESS,
    sessions.TokenRequestInvalid: _no_token('invalid_request'),
    sessions.GrantTypeUnsupported: _no_token('unsupported_grant_type', _INVALID_PARAMETER),
    sessions.GrantInvalid: _no_token('invalid_grant', _INVALID_PARAMETER),
    sessions.RoleNotGranted: _no_token('invalid_scope', _INVALID_PARAMETER),
    sessions.ClientUnknown: _no_token('invalid_client', _NOT_KNOWN),
    sessions.NoClients: _NOT_FOUND,
    access.TooManyFailures: _vendor(429, 'too-many-failures'),
    access.RateLimited: _vendor(429, 'rate-limited'),
    access.LockHolderUnnamed: _INVALID_PARAMETER,
    access.LockTooLong: _INVALID_PARAMETER,
    access.LockNotFound: _NOT_FOUND,
    access.LockNotHeld: _NO_ACCESS,
    access.LockNotBreakable: _CONFLICT,
    access.AuditUnavailable: _vendor(503, 'audit-unavailable', _RETRY),
    access.AuditTurnedOff: _NOT_IMPLEMENTED,
    callbacks.CallbackNotFound: _NOT_FOUND,
    callbacks.CallbackNotDue: _CONFLICT,
    entities.EntityNotFound: _NOT_FOUND,
    entities.AreaNotFound: _NOT_FOUND,
    entities.FunctionNotFound: _NOT_FOUND,
    scripts.ScriptNotFound: _NOT_FOUND,
    scripts.VersionNotFound: _NOT_FOUND,
    scripts.ScriptIsManaged: _CONFLICT,
    scripts.ScriptTooLarge: _TOO_LARGE,
    scripts.ScriptRefused: _INVALID_PARAMETER,
    scripts.ParametersInvalid: _INVALID_PARAMETER,
    scripts.ScriptsTurnedOff: _NOT_IMPLEMENTED,
    scripts.ScriptLimitReached: _vendor(429, 'limit-reached', _RETRY),
    scripts.UploadsTurnedOff: _NO_ACCESS,
    scripts.LibraryUnavailable: _vendor(503, 'storage-unavailable', _RETRY),
    scripts.SchemaCheckUnavailable: _vendor(503, 'schema-check-unavailable', _RETRY),
    triggers.InstanceNotFound: _NOT_FOUND,
    triggers.InstanceExists: _CONFLICT,
    triggers.InstanceIsManaged: _CONFLICT,
    triggers.InstanceHasOpenExecution: _CONFLICT,
    triggers.InstanceNotRunning: _CONFLICT,
    triggers.InstanceLimitReached: _vendor(429, 'limit-reached', _RETRY),
    executions.BeyondScope: _NO_ACCESS,
    executions.ExecutionNotFound: _NOT_FOUND,
    executions.ArtifactNotFound: _NOT_FOUND,
    evidence.EvidenceNotFound: _NOT_FOUND,
    evidence.NothingPassed: _NOT_FOUND,
    executions.ExecutionNotStoppable: _CONFLICT,
    executions.ExecutionNotDeletable: _CONFLICT,
    executions.ExecutionNotWaiting: _CONFLICT,
    executions.EntityLocked: _CONFLICT,
    executions.ScriptHasOpenExecutions: _CONFLICT,
    executions.ExecutionNotRepeatable: _CONFLICT,
    executions.IdempotencyKeyReused: _vendor(409, 'idempotency-key-reused'),
    executions.ScriptAlreadyRunning: _CONFLICT,
    executions.InstanceAlreadyRunning: _CONFLICT,
    ConfirmationNeeded: _PRECONDITION,
    PreconditionsUnmet: _PRECONDITION,
    proximity.StartUnattended: _INVALID_PARAMETER,
    proximity.ProximityNeeded: _PRECONDITION,
    proximity.ProximityRefused: _NO_ACCESS,
    proximity.ProximityClosed: _vendor(429, 'proximity-closed', _RETRY_LATER),
    proximity.ProximityUnavailable: _vendor(503, 'proximity-unavailable', _RETRY_SOON),
    executions.TimeoutTooLong: _INVALID_PARAMETER,
    executions.ConcurrencyLimitReached: _vendor(429, 'limit-reached', _RETRY),
    executions.ExpiryPast: _INVALID_PARAMETER,
    executions.LineFull: _vendor(429, 'line-full', _RETRY_SOON),
    executions.LinePaused: _vendor(429, 'line-paused', _RETRY_LATER),
    executions.ScheduleLimitReached: _vendor(429, 'limit-reached', _RETRY),
    executions.OpenLimitReached: _vendor(429, 'limit-reached', _RETRY_SOON),
    executions.NothingToStart: _NOT_FOUND,
    executions.ParentNotRunning: _CONFLICT,
    executions.ParentForeign: _NO_ACCESS,
    executions.OutlivesScript: _NO_ACCESS,
    executions.ChildLimitReached: _vendor(429, 'limit-children', _RETRY),
    executions.GenerationLimitReached: _vendor(429, 'limit-depth'),
    executions.CallbackRefused: _INVALID_PARAMETER,
    executions.FeatureNotAvailable: _NOT_IMPLEMENTED,
    executions.DiskSpaceLow: _vendor(503, 'disk-space-low', _RETRY_LATER),
    executions.RunnerUnavailable: _vendor(503, 'runner-unavailable', _RETRY),
    executions.StoreUnavailable: _vendor(503, 'storage-unavailable', _RETRY),
    executions.GatewayRecovering: _vendor(503, 'recovering', _RETRY),
    executions.GatewayShuttingDown: _vendor(503, 'shutting-down', _RETRY),
}


def row_of(kind: type[Exception]) -> Row | None:
    """Return how a kind of error is answered; None for a defect, which nobody was to raise."""
    return next((ERROR_TABLE[each] for each in kind.__mro__ if each in ERROR_TABLE), None)


def error_body(row: Row, message: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Build a GenericError: `{error_code, message, vendor_code?, parameters?}`.

    Who asks for a token finds in it what OAuth wants, too.
    """
    body: dict[str, Any] = {'error_code': row.error_code, 'message': message}
    if row.vendor_code is not None:
        body['vendor_code'] = row.vendor_code
    if row.oauth_error is not None:
        body |= {'error': row.oauth_error, 'error_description': message}
    if parameters:
        body['parameters'] = parameters
    return body


def error_told(error: Exception, what: str) -> tuple[Row, dict[str, Any]]:
    """Return how an error is answered, and its GenericError; the log has a defect, in `what`."""
    row = row_of(type(error))
    if row is not None:
        return row, error_body(row, str(error), _known(error))
    _log.error('%s failed', what, exc_info=error)
    message = 'an internal error; the log of the gateway has the traceback'
    return INTERNAL_ERROR, error_body(INTERNAL_ERROR, message)


def generic_error(
    row: Row, message: str, parameters: dict[str, Any] | None = None
) -> web.Response:
    """Build the answer, with a GenericError."""
    return _response(row, error_body(row, message, parameters))


def _response(row: Row, body: dict[str, Any]) -> web.Response:
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
    response.headers.update(PROTECTIVE)
    content = cast(bytes, response.body)
    lines = [
        f'HTTP/1.1 {response.status} {response.reason}',
        *(f'{name}: {value}' for name, value in response.headers.items()),
        f'Content-Length: {len(content)}',
        'Connection: close',
    ]
    return '\r\n'.join([*lines, '', '']).encode() + content


def error_answer(request: web.BaseRequest, error: Exception) -> web.StreamResponse:
    """Turn an error of a handler, or one of aiohttp's own, into a GenericError."""
    if isinstance(error, web.HTTPException):
        return _http_exception(request, error)
    if isinstance(error, (web.RequestPayloadError, HttpProcessingError)):
        return generic_error(_INVALID_REQUEST, f'the body cannot be read: {error}')
    if isinstance(error, ConnectionError):
        # Nobody reads this answer, unless only the client's side of the connection has ended.
        _log.debug('%s %s: the client went away', request.method, request.path)
        return generic_error(_INVALID_REQUEST, f'the connection broke: {error}')
    return _domain_error(request, error)


def _domain_error(request: web.BaseRequest, error: Exception) -> web.Response:
    row, body = error_told(error, f'{request.method} {request.path}')
    response = _response(row, body)
    response.headers.update(getattr(error, 'headers', {}))
    return response


def _known(error: Exception) -> dict[str, Any]:
    """Return what an error tells beside its message: `told`, JSON values by name, and all that is
    wrong."""
    found: Iterable[Violation] = getattr(error, 'violations', ())
    listed = [{'path': each.path, 'reason': each.reason} for each in found]
    return {**getattr(error, 'told', {}), **({'violations': listed} if listed else {})}


def _http_exception(request: web.BaseRequest, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    if error.status == 404:
        return generic_error(_NOT_FOUND, f'no resource {request.path!r}')
    if error.status == 413:
        return generic_error(_TOO_LARGE, 'the body is too large')
    if error.status >= 500:
        return generic_error(INTERNAL_ERROR, error.reason)
    headers = {name: error.headers[name] for name in ('Allow',) if name in error.headers}
    row = Row(status=error.status, error_code='invalid-request', headers=headers)
    message = error.text or error.reason
    if error.status == 405:
        message = f'{request.method} is not allowed here; allowed: {headers.get("Allow")}'
    return generic_error(row, message)
