# SPDX-License-Identifier: Apache-2.0
"""What every request has to pass, whatever its route: before that, no byte of its body is read."""

from aiohttp import hdrs, HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway_node.http_server.errors import (
    BodyEncoded,
    ExpectationUnknown,
    HeaderTooLarge,
    HostForeign,
    InvalidRequest,
    MAX_HEADER_BYTES,
    OriginForeign,
)
from gateway_node.http_server.origins import (
    Authority,
    is_foreign_site,
    is_own_host,
    is_own_origin,
    parse_authority,
    target_authority,
)
from gateway_node.http_server.services import services

SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Those that change nothing (RFC 9110, section 9.2.1)."""
_SEC_FETCH_SITE = 'Sec-Fetch-Site'
_CONTINUE = '100-continue'


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what no route takes."""
    _check_size(request)
    authority = _own_authority(request)
    if request.method not in SAFE_METHODS:
        _check_origin(request, authority)
    _check_coding(request)
    if _expectation(request) not in (None, _CONTINUE):
        raise ExpectationUnknown(request.headers[hdrs.EXPECT])
    return await handler(request)


async def leave_expectation(request: web.Request) -> None:
    """Do nothing about `Expect` yet: aiohttp calls this before the middlewares."""


async def ask_for_body(request: web.Request) -> None:
    """Say that the body may come, where a client waits for that (RFC 9110, section 10.1.1)."""
    if _expectation(request) == _CONTINUE:
        await request.writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        # aiohttp takes an answer with any output for begun.
        request.writer.output_size = 0


def _check_size(request: web.Request) -> None:
    """Raise HeaderTooLarge for a header that came whole: nobody counted it on its way."""
    fields = sum(len(name) + len(value) + len(b': \r\n') for name, value in request.raw_headers)
    if len(request.raw_path) + fields > MAX_HEADER_BYTES:
        raise HeaderTooLarge(MAX_HEADER_BYTES)


def _own_authority(request: web.Request) -> Authority | None:
    """Return the host that the request is for; None where HTTP/1.0 names none.

    Raises:
        InvalidRequest: it has no `Host`, several, or one that is no host (RFC 9112, section 3.2).
        HostForeign: it is not ours.
    """
    named = request.headers.getall(hdrs.HOST, [])
    if len(named) > 1 or (not named and request.version >= HttpVersion11):
        raise InvalidRequest(f'the request has {len(named)} headers Host; allowed: one')
    target = target_authority(request.method, request.raw_path)
    authority = None
    for text in (*named, *([] if target is None else [target])):
        authority = parse_authority(text)
        if authority is None:
            raise InvalidRequest(
                f'Host is {text[:80]!r}; allowed: a host name or an address, and a port'
            )
    if authority is not None and not is_own_host(authority, services(request).own_names):
        raise HostForeign(authority.host)
    return authority


def _check_origin(request: web.Request, authority: Authority | None) -> None:
    """Raise OriginForeign where a page that is not ours sent the request.

    Programs that are no browser send neither header.
    """
    for origin in request.headers.getall(hdrs.ORIGIN, ()):
        if authority is None or not is_own_origin(origin, authority):
            raise OriginForeign(hdrs.ORIGIN, origin)
    for site in request.headers.getall(_SEC_FETCH_SITE, ()):
        if is_foreign_site(site):
            raise OriginForeign(_SEC_FETCH_SITE, site)


def _check_coding(request: web.Request) -> None:
    """Raise BodyEncoded where the body is compressed (RFC 9110, section 8.4): none is inflated."""
    codings = ','.join(request.headers.getall(hdrs.CONTENT_ENCODING, ()))
    if any(coding.strip().lower() not in ('', 'identity') for coding in codings.split(',')):
        raise BodyEncoded(codings)


def _expectation(request: web.Request) -> str | None:
    """Return what is expected, in lower case; HTTP/1.0 has no expectations."""
    if request.version < HttpVersion11 or hdrs.EXPECT not in request.headers:
        return None
    return request.headers[hdrs.EXPECT].lower()
