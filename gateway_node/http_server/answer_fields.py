# SPDX-License-Identifier: Apache-2.0
"""Fields that every answer has, whatever it is about, unless it has its own: made once."""

from collections.abc import Mapping, Set

from aiohttp import hdrs, web

from gateway_node.http_server.cross_origin import CrossOrigin
from gateway_node.http_server.ready_response import ReadyResponse

PROTECTIVE: Mapping[str, str] = {
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}
"""An answer is what it says, loads nothing, stands in nobody's frame and is no part of a page of
others, who came from here is not told."""

STRICT: Mapping[str, str] = {'Strict-Transport-Security': 'max-age=86400'}
"""Over TLS (RFC 6797). It binds every port of a name, other servers of the robot included: so for
a day, and not for years."""


class CommonFields:
    """Some of these fields, as they go over the line."""

    def __init__(self, fields: Mapping[str, str], *, vary: str = '') -> None:
        """`vary` goes beside what an answer says of that itself (RFC 9110, section 5.2)."""
        self.fields = fields
        self.vary = vary
        self._lines = tuple(f'{name}: {value}' for name, value in fields.items())
        self._vary_lines = (f'{hdrs.VARY}: {vary}',) if vary else ()
        self._all_lines = (*self._lines, *self._vary_lines)

    def lines_beside(self, own: Set[str]) -> tuple[str, ...]:
        """Return the lines of an answer that has fields of its own."""
        if own.isdisjoint(self.fields):
            return self._all_lines
        lines = zip(self.fields, self._lines, strict=True)
        return (*(line for name, line in lines if name not in own), *self._vary_lines)


class _ByOrigin:
    """The fields of answers to each page that is allowed, and to all others."""

    def __init__(self, fields: dict[str, str], cross_origin: CrossOrigin) -> None:
        vary = hdrs.ORIGIN if cross_origin.origins else ''
        self._of_others = CommonFields(fields, vary=vary)
        self._by_origin = {
            origin: CommonFields(fields | cross_origin.fields_of(origin), vary=vary)
            for origin in cross_origin.origins
        }

    def of(self, request: web.BaseRequest) -> CommonFields:
        """Return what the answer to a request has."""
        if not self._by_origin:
            return self._of_others
        return self._by_origin.get(request.headers.get(hdrs.ORIGIN, ''), self._of_others)


class AnswerFields:
    """Puts them on every answer."""

    def __init__(
        self, cross_origin: CrossOrigin, *, is_private: bool, speaks_tls: bool = False
    ) -> None:
        """`is_private`: who may see an answer depends on credentials, so nobody is to keep it."""
        fields = dict(PROTECTIVE)
        if is_private:
            fields[hdrs.CACHE_CONTROL] = 'no-store'
        self._plain = _ByOrigin(fields, cross_origin)
        self._over_tls = _ByOrigin({**fields, **STRICT}, cross_origin) if speaks_tls else None

    def put_on(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Add what an answer to a request does not have by itself; before it is sent."""
        fields = self._plain
        if self._over_tls is not None and request.secure:
            fields = self._over_tls
        common = fields.of(request)
        if isinstance(response, ReadyResponse):
            response.add_lines(common.lines_beside(response.names))
            return
        headers = response.headers
        for name, value in common.fields.items():
            headers.setdefault(name, value)
        if common.vary:
            headers.add(hdrs.VARY, common.vary)
