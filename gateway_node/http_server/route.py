# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of routes says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, KW_ONLY
from typing import Generic, TypeVar

from gateway_node.access.errors import (
    AuditUnavailable,
    NotAuthenticated,
    RateLimited,
    RoleTooLow,
    TooManyFailures,
)
from gateway_node.executions.actors import Role
from gateway_node.executions.errors import GatewayShuttingDown
from gateway_node.http_server.bodies import Body
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.errors import (
    BodyEncoded,
    ExpectationUnknown,
    HeaderLate,
    HeaderTooLarge,
    HostForeign,
    InvalidParameter,
    InvalidRequest,
    OriginForeign,
    RangeUnsatisfiable,
    TooManyAtWork,
    TooManyConnections,
    TransferCodingUnknown,
)
from gateway_node.http_server.fields import FilePath
from gateway_node.http_server.media_types import OCTETS
from gateway_node.http_server.parts import OfKnown, OfPart
from gateway_node.http_server.takes import taken_by

At = TypeVar('At')
B = TypeVar('B')
Errors = tuple[type[Exception], ...]

VIEWER, OPERATOR, CONFIGURATOR, ADMIN = Role

BYTES = 'bytes'
"""In place of a schema's name: a file as it is."""
OF_THE_FILE = '*/*'
"""In place of a media type: that of the file."""

ERRORS_OF_EVERY_REQUEST: Errors = (
    InvalidParameter,
    InvalidRequest,
    NotAuthenticated,
    RoleTooLow,
    TooManyFailures,
    RateLimited,
    OriginForeign,
    ExpectationUnknown,
    HostForeign,
    BodyEncoded,
    TransferCodingUnknown,
    HeaderLate,
    HeaderTooLarge,
    TooManyAtWork,
    TooManyConnections,
    GatewayShuttingDown,
)
"""What any request may be refused with, whatever its route."""


@dataclass(frozen=True)
class Route(Generic[At, B]):
    """A row of the table."""

    method: str
    path: str
    """Below the base; the same with a slash behind it."""
    role: Role
    """The least that may ask for it."""
    handler: Callable[[Call[At, B]], Awaitable[Answer]]
    takes: type[At]
    """What of path, query and headers; everything else there is refused."""
    _: KW_ONLY
    status: int = 200
    """Of what it answers where nothing is wrong."""
    answers: str | None = None
    """The name of the schema of that, or BYTES; None for no body."""
    media_type: str = OCTETS
    """Of BYTES."""
    errors: Errors = ()
    """What the look-up and the handler may raise, the subclasses of these included."""
    finds: Callable[[Call[At, None]], Awaitable[None]] | None = None
    """Looks up what must be there before the body is read; raises where it is not."""
    body: Body[B] | None = None
    """None where no body is read, whatever a client sends."""
    answers_end: str | None = None
    """The name of the schema of a 200, for who waits for the end (`Prefer: wait`)."""
    answers_over: bool = False
    """Answered 204 where a stream is over for who has all of it: EventSource connects no more."""
    is_probe: bool = False
    """Answered while the gateway starts, too: who asks for anything else waits meanwhile."""
    is_open: bool = False
    """Answered to strangers, and to everybody as one: no credential is looked at. A probe is so
    only where `Services.open_probes` says so."""
    open_as: str | None = None
    """The media type in which it is answered to strangers too, where probes are: that of a page,
    which tells nothing by itself."""

    def lets_strangers_in(self, *, open_probes: bool) -> bool:
        """Tell whether no credential is looked at, where probes are open or are not."""
        return self.is_open and (open_probes or not self.is_probe)

    @property
    def in_parts(self) -> bool:
        """Whether it answers a part (206), where asked to."""
        return issubclass(self.takes, OfPart)

    @property
    def takes_rest(self) -> bool:
        """Whether its last placeholder stands for all that is left of a path."""
        return any(isinstance(taken.field, FilePath) for taken in taken_by(self.takes))

    @property
    def is_validated(self) -> bool:
        """Whether it answers that the client has it already (304), where asked to."""
        return issubclass(self.takes, OfKnown)

    @property
    def statuses(self) -> set[int]:
        """What it may answer with where nothing is wrong."""
        of_end = (200,) if self.answers_end is not None else ()
        of_part = (206,) if self.in_parts else ()
        of_known = (304,) if self.is_validated else ()
        of_over = (204,) if self.answers_over else ()
        return {self.status, *of_end, *of_part, *of_known, *of_over}

    @property
    def all_errors(self) -> Errors:
        """Every error that it may be answered with."""
        of_body = () if self.body is None else self.body.errors
        of_parts = (RangeUnsatisfiable,) if self.in_parts else ()
        of_change = () if self.method == 'GET' else (AuditUnavailable,)
        return (*self.errors, *of_body, *of_parts, *of_change, *ERRORS_OF_EVERY_REQUEST)

    def declares(self, error: Exception) -> bool:
        """Tell whether it may be answered with this error."""
        return isinstance(error, self.all_errors)
