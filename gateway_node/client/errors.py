# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a program and a gateway, as classes; `GatewayError` is all of it."""

from collections.abc import Mapping, Sequence

from gateway_node.client.values import GenericError, Unmet


class GatewayError(Exception):
    """Base of what the client raises; what it cannot send is a ValueError or a TypeError."""


class GatewayUnreachable(GatewayError):
    """No connection came about, so nothing was asked."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(f'no gateway is reached at {url}: {reason}')
        self.url = url


class AnswerLost(GatewayError):
    """The connection ended before the answer was whole: what was asked may have been done."""

    def __init__(self, request: str, reason: object) -> None:
        super().__init__(f'the answer to {request} was lost: {reason}')
        self.request = request


class AnswerLate(GatewayError):
    """The gateway said nothing for as long as it may: what was asked may be done yet."""

    def __init__(self, request: str, timeout_sec: float) -> None:
        super().__init__(f'no answer to {request} within {timeout_sec:g} s')
        self.request = request
        self.timeout_sec = timeout_sec


class AnswerNotUnderstood(GatewayError):
    """Something answered, but not as a gateway does."""

    def __init__(self, request: str, reason: object) -> None:
        super().__init__(f'the answer to {request} is not that of a gateway: {reason}')
        self.request = request


class StillOpen(GatewayError):
    """An execution has not ended in the time in which it was waited for."""

    def __init__(self, execution_id: str, timeout_sec: float) -> None:
        super().__init__(f'execution {execution_id} has not ended within {timeout_sec:g} s')
        self.execution_id = execution_id
        self.timeout_sec = timeout_sec


class Refused(GatewayError):
    """The gateway answered with a GenericError (docs/api.md, "Errors")."""

    def __init__(self, status: int, error: GenericError, retry_after_sec: float | None) -> None:
        code = error.vendor_code or error.error_code
        super().__init__(f'{error.message} ({status}, {code})')
        self.status = status
        """Of HTTP."""
        self.error_code = error.error_code
        self.vendor_code = error.vendor_code
        self.message = error.message
        self.parameters = error.parameters
        self.retry_after_sec = retry_after_sec
        """In how many seconds the same may be taken, where the gateway says so."""


class InvalidRequest(Refused):
    """400: a value is not allowed; `parameters['violations']` lists all that are wrong."""


class AccessDenied(Refused):
    """401 and 403."""


class NotFound(Refused):
    """404: no such entity, script, execution or route."""


class Conflict(Refused):
    """409: the state forbids it."""


class PreconditionNotFulfilled(Conflict):
    """409 `precondition-not-fulfilled`: something has to be given or met first."""

    @property
    def unmet(self) -> Sequence[Unmet]:
        """The preconditions on the robot that are not met; none where something is to be given."""
        return tuple(map(Unmet.of, self.parameters.get('unmet', ())))


class TooLarge(Refused):
    """413."""


class LimitReached(Refused):
    """429: as many are open as may be."""


class Defect(Refused):
    """500: the gateway's log tells more."""


class NotImplementedThere(Refused):
    """501: turned off, or not there yet."""


class Unavailable(Refused):
    """503: not now."""


_BY_STATUS: Mapping[int, type[Refused]] = {
    400: InvalidRequest,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: LimitReached,
    500: Defect,
    501: NotImplementedThere,
    503: Unavailable,
}


def refusal(status: int, error: GenericError, retry_after: str | None) -> Refused:
    """Return the error that an answer tells."""
    kind = _BY_STATUS.get(status, Refused)
    if kind is Conflict and error.error_code == 'precondition-not-fulfilled':
        kind = PreconditionNotFulfilled
    # RFC 9110, 10.2.3: seconds, or a date, which the gateway never writes.
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return kind(status, error, seconds)
