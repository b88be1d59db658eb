# SPDX-License-Identifier: Apache-2.0
"""Errors of HTTP itself: what a request is refused for before any room is asked."""

from gateway_node.violations import Violation

MAX_HEADER_BYTES = 64 * 1024
"""Of a request; aiohttp by itself bounds each field, and before 3.14 not their number."""


class InvalidParameter(Exception):
    """A value in the path, the query, a header or the body is not allowed."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations

    @classmethod
    def of_query(cls, *wrong: tuple[str, str]) -> 'InvalidParameter':
        """Return what tells of names of the query, each with what is wrong with it."""
        name, reason = wrong[0]
        violations = (Violation(path=f'/query/{name}', reason=reason) for name, reason in wrong)
        return cls(f'{name} {reason}', tuple(violations))


class InvalidRequest(Exception):
    """The request is malformed, or lacks a part that it must have."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class MediaTypeWrong(Exception):
    """The body is of another type than this route takes."""

    def __init__(self, media_type: str, allowed: str) -> None:
        super().__init__(f'Content-Type is {media_type!r}; allowed: {allowed}')
        self.media_type = media_type


class ContentNotFound(Exception):
    """A script is known, and where its file should be is none."""

    def __init__(self, script_id: str, how: str = 'gone') -> None:
        super().__init__(f'the file of script {script_id!r} is {how}')
        self.script_id = script_id


class NothingHere(Exception):
    """Nothing is served under this path."""

    def __init__(self, path: str) -> None:
        super().__init__(f'no resource {path!r}')
        self.path = path


class EventNotFound(Exception):
    """The log has no such event, or has it no more."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f'the log has no event {sequence}')
        self.sequence = sequence


class TooManyStreams(Exception):
    """As many streams of events are open as may be."""

    def __init__(self, parameter: str, limit: int) -> None:
        whose = 'of one client ' if parameter == 'streams.max_per_client' else ''
        super().__init__(f'{limit} streams {whose}may be open at a time ({parameter})')
        self.parameter = parameter
        self.limit = limit


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
            "gateway's own, or its origin one of cors.allowed_origins"
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


class CertificatesInvalid(Exception):
    """TLS cannot be spoken with the files that are configured."""


class TooManyConnections(Exception):
    """There is no place for another connection."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f'there is no room for this connection: {limit} may be open, half from one address'
        )
        self.limit = limit


class TooManyAtWork(Exception):
    """As many requests of one identity are being answered as may be."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(
            f'{limit} requests of {name!r} are being answered, which is all that one identity may '
            'have: half of server.max_connections; wait until one is answered'
        )
        self.name = name
        self.limit = limit


class RangeUnsatisfiable(Exception):
    """The part that is asked for begins behind the end."""

    def __init__(self, size: int) -> None:
        super().__init__(f'Range begins behind the end; there are {size} bytes')
        self.headers = {'Content-Range': f'bytes */{size}'}


class BodyTooLarge(Exception):
    """The body is larger than this route takes."""
