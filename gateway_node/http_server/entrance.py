# SPDX-License-Identifier: Apache-2.0
"""What every request has to pass, whatever its route: before that, no byte of its body is read."""

import itertools

from aiohttp import hdrs, HttpVersion11, web

from gateway_node.http_server.errors import (
    BodyEncoded,
    ExpectationUnknown,
    HeaderTooLarge,
    HostForeign,
    InvalidRequest,
    MAX_HEADER_BYTES,
    OriginForeign,
    TransferCodingUnknown,
)
from gateway_node.http_server.origins import (
    Authority,
    is_foreign_site,
    is_own_host,
    is_own_origin,
    parse_authority,
    target_authority,
)

SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Those that change nothing (RFC 9110, section 9.2.1)."""
_SEC_FETCH_SITE = 'Sec-Fetch-Site'
_CONTINUE = '100-continue'


class Entrance:
    """Refuses what no route takes."""

    def __init__(
        self, own_names: frozenset[str], allowed_origins: frozenset[str] = frozenset()
    ) -> None:
        """`own_names`: see `origins.own_names`; `allowed_origins` as browsers write them."""
        self._own_names = own_names
        self._allowed_origins = allowed_origins

    def check(self, request: web.BaseRequest) -> None:
        """Return where a request may pass.

        Raises:
            HeaderTooLarge, InvalidRequest, HostForeign, OriginForeign, BodyEncoded,
            TransferCodingUnknown, ExpectationUnknown: as their names say.
        """
        _check_size(request)
        authority = self._own_authority(request)
        if request.method not in SAFE_METHODS:
            self._check_origin(request, authority)
        _check_coding(request)
        _check_body_is_there(request)
        if not _expectations(request) <= {_CONTINUE}:
            raise ExpectationUnknown(', '.join(request.headers.getall(hdrs.EXPECT)))

    def _own_authority(self, request: web.BaseRequest) -> Authority | None:
        """Return the host that the request is for; None where HTTP/1.0 names none.

        Raises:
            InvalidRequest: it has no `Host`, several, or one that is no host (RFC 9112, section
                3.2).
            HostForeign: it is not ours.
        """
        named = request.headers.getall(hdrs.HOST, ())
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
        if authority is not None and not is_own_host(authority, self._own_names):
            raise HostForeign(authority.host)
        return authority

    def _check_origin(self, request: web.BaseRequest, authority: Authority | None) -> None:
        """Raise OriginForeign where a page that is neither ours nor allowed sent the request.

        Programs that are no browser send neither header.
        """
        origins = request.headers.getall(hdrs.ORIGIN, ())
        if len(origins) == 1 and origins[0] in self._allowed_origins:
            return
        for origin in origins:
            if authority is None or not is_own_origin(origin, authority, over_tls=request.secure):
                raise OriginForeign(hdrs.ORIGIN, origin)
        for site in request.headers.getall(_SEC_FETCH_SITE, ()):
            if is_foreign_site(site):
                raise OriginForeign(_SEC_FETCH_SITE, site)


def leaves_http(request: web.BaseRequest) -> bool:
    """Tell whether a request is for another protocol.

    What comes behind it aiohttp takes for that protocol, or loses: the connection ends with the
    answer.
    """
    return request.method == hdrs.METH_CONNECT or hdrs.UPGRADE in request.headers


async def ask_for_body(request: web.BaseRequest) -> None:
    """Say that the body may come, where a client waits for that (RFC 9110, section 10.1.1)."""
    if _CONTINUE in _expectations(request):
        await request.writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        # aiohttp takes an answer with any output for begun.
        request.writer.output_size = 0


def _check_size(request: web.BaseRequest) -> None:
    """Raise HeaderTooLarge for a header that came whole: nobody counted it on its way."""
    fields = request.raw_headers
    size = sum(map(len, itertools.chain.from_iterable(fields))) + len(b': \r\n') * len(fields)
    if len(request.raw_path) + size > MAX_HEADER_BYTES:
        raise HeaderTooLarge(MAX_HEADER_BYTES)


def _check_coding(request: web.BaseRequest) -> None:
    """Raise where the body is compressed: none is inflated.

    Raises:
        BodyEncoded: it says so itself (RFC 9110, section 8.4).
        TransferCodingUnknown: the way it is sent does (RFC 9112, section 6.1).
    """
    headers = request.headers
    if hdrs.CONTENT_ENCODING not in headers and hdrs.TRANSFER_ENCODING not in headers:
        return
    if not _listed(request, hdrs.CONTENT_ENCODING) <= {'identity'}:
        raise BodyEncoded(','.join(request.headers.getall(hdrs.CONTENT_ENCODING)))
    if not _listed(request, hdrs.TRANSFER_ENCODING) <= {'chunked'}:
        raise TransferCodingUnknown(','.join(request.headers.getall(hdrs.TRANSFER_ENCODING)))


def _check_body_is_there(request: web.BaseRequest) -> None:
    """Raise InvalidRequest where aiohttp (3.9) took the body for another protocol's."""
    if hdrs.UPGRADE not in request.headers or not request.content_length:
        return
    if request.content.is_eof() and not request.content.total_bytes:
        raise InvalidRequest('a request with Upgrade cannot have a body here; leave Upgrade out')


def _expectations(request: web.BaseRequest) -> set[str]:
    """Return what is expected; HTTP/1.0 has no expectations."""
    if hdrs.EXPECT not in request.headers or request.version < HttpVersion11:
        return set()
    return _listed(request, hdrs.EXPECT)


def _listed(request: web.BaseRequest, name: str) -> set[str]:
    """Return what all fields of this name list, in lower case (RFC 9110, section 5.6.1)."""
    listed = ','.join(request.headers.getall(name, ())).lower().split(',')
    return {each.strip() for each in listed} - {''}
