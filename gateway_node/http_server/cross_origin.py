# SPDX-License-Identifier: Apache-2.0
"""Pages of other origins that are listed: what they may ask for, and see of the answers (CORS).

Of the Fetch standard, section 3.3. No answer allows credentials of the browser's own: a page has
to bring what it was given itself.
"""

from collections.abc import Iterable, Mapping

from aiohttp import hdrs, web

from gateway_node.http_server.once import IDEMPOTENCY_REPLAYED
from gateway_node.http_server.preferences import PREFERENCE_APPLIED

EXPOSED = (
    hdrs.ACCEPT_RANGES,
    hdrs.ALLOW,
    hdrs.CONTENT_DISPOSITION,
    hdrs.CONTENT_RANGE,
    hdrs.ETAG,
    IDEMPOTENCY_REPLAYED,
    hdrs.LINK,
    hdrs.LOCATION,
    PREFERENCE_APPLIED,
    hdrs.RETRY_AFTER,
    hdrs.WWW_AUTHENTICATE,
)
"""Fields of answers that a page may read, beside those that each may."""
PREFLIGHT_SEC = 600
"""How long a browser need not ask again."""


class CrossOrigin:
    """Knows the origins that are allowed."""

    def __init__(self, origins: Iterable[str], request_fields: Iterable[str]) -> None:
        """Take the origins, as browsers write them, and what their pages may send beside what
        each may."""
        self.origins = frozenset(origins)
        self._request_fields = ','.join(sorted(request_fields))

    def fields_of(self, origin: str) -> dict[str, str]:
        """Return what an answer has for a page of an origin that is allowed."""
        return {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: ','.join(EXPOSED),
        }

    def preflight_fields(
        self, request: web.BaseRequest, methods: Iterable[str]
    ) -> Mapping[str, str]:
        """Return what tells a browser that a page may send what it asks about."""
        headers = request.headers
        if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in headers:
            return {}
        if headers.get(hdrs.ORIGIN) not in self.origins:
            return {}
        return {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ','.join(methods),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: self._request_fields,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_SEC),
        }
