# SPDX-License-Identifier: Apache-2.0
"""Holds an answer to what the table of routes says of it: status, type and body."""

import re
from typing import Any

from aiohttp import ClientResponse
from jsonschema import Draft202012Validator

from gateway_node.http_server.error_table import row_of
from gateway_node.http_server.media_types import offered_by
from gateway_node.http_server.route import BYTES, OF_THE_FILE, Route
from gateway_node.http_server.routes import ROUTES
from gateway_node.http_server.schema_parts import reference_to
from gateway_node.http_server.schemas import SCHEMAS

_NO_ROUTE = {404, 405}
"""What is answered where no route is."""
_DEFECT = 500
"""Any route may have one; a test that is not about that finds it by the status."""


def error_statuses(route: Route[Any, Any]) -> set[int]:
    """Return what a route may be refused with."""
    return {row.status for kind in route.all_errors if (row := row_of(kind)) is not None}


def validate(name: str, body: object) -> None:
    """Check a body against one of the schemas."""
    _VALIDATORS[name].validate(body)


async def check_declared(method: str, path: str, response: ClientResponse) -> None:
    """Check the answer to a request for a path below the base."""
    route = _route(method, path.partition('?')[0])
    if response.status >= 400:
        validate('GenericError', await response.json())
        allowed = _NO_ROUTE if route is None else {*error_statuses(route), _DEFECT}
        assert response.status in allowed, (method, path, response.status)
    elif route is not None:
        assert response.status in route.statuses, (method, path)
        if response.status != 304:
            await _check_body(route, response)


async def _check_body(route: Route[Any, Any], response: ClientResponse) -> None:
    if route.answers is None or response.status == 204:
        assert await response.read() == b''
    elif route.answers == BYTES:
        assert route.media_type in (response.content_type, OF_THE_FILE)
    elif response.content_type in offered_by(route.takes)[1:]:
        assert 'Accept' in response.headers['Vary']
    else:
        assert response.content_type == 'application/json'
        of_end = route.answers_end if response.status != route.status else None
        validate(of_end or route.answers, await response.json())


def _route(method: str, path: str) -> Route[Any, Any] | None:
    """Return the route that a request is for; None for OPTIONS and HEAD, which have no row."""
    for pattern, route in _PATTERNS:
        if route.method == method and pattern.fullmatch(path):
            return route
    return None


def _pattern(path: str) -> re.Pattern[str]:
    path = path.replace('{collection}', '(?:apps|components)')
    path = path.replace('/{path}', '/.+')
    return re.compile(re.sub(r'\{\w+\}', '[^/]+', path) + '/?')


_PATTERNS = [(_pattern(route.path), route) for route in ROUTES]
_VALIDATORS = {
    name: Draft202012Validator({**reference_to(name), 'components': {'schemas': SCHEMAS}})
    for name in SCHEMAS
}
