# SPDX-License-Identifier: Apache-2.0
"""The application that serves the table of routes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
import logging
from typing import Any, Generic, TypeVar

from aiohttp import hdrs, web

from gateway_node.access.errors import RoleTooLow
from gateway_node.http_server.answer_fields import AnswerFields
from gateway_node.http_server.answers import response_to
from gateway_node.http_server.auditing import Auditor, Trace
from gateway_node.http_server.callers import Callers, CLIENT_ID
from gateway_node.http_server.calls import Call, Description
from gateway_node.http_server.cross_origin import CrossOrigin
from gateway_node.http_server.docs import docs_of
from gateway_node.http_server.entrance import ask_for_body, Entrance, leaves_http
from gateway_node.http_server.error_table import error_answer, row_of
from gateway_node.http_server.fields import Segment
from gateway_node.http_server.media_types import offered_by, preferred_by
from gateway_node.http_server.openapi import OpenApi
from gateway_node.http_server.openapi_security import Security
from gateway_node.http_server.paths import Paths
from gateway_node.http_server.reading import IncomingBody
from gateway_node.http_server.request_reader import Reader
from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES, UNVERSIONED
from gateway_node.http_server.services import Services
from gateway_node.http_server.takes import Place, taken_by
from gateway_node.http_server.targets import Target

_log = logging.getLogger(__name__)

At = TypeVar('At')
B = TypeVar('B')


class ErrorUndeclared(Exception):
    """A route raised what its row of the table does not name; a defect of the gateway."""

    def __init__(self, route: Route[Any, Any], error: Exception) -> None:
        super().__init__(
            f'{route.method} {route.path or "/"} raised {type(error).__name__}, which its row of '
            f'the table of routes does not declare: {error}'
        )


class Application:
    """Answers every request that comes to a gateway."""

    def __init__(
        self,
        services: Services,
        routes: Sequence[Route[Any, Any]] = ROUTES,
        *,
        strict: bool = False,
    ) -> None:
        """`strict` is for tests: an error that a route does not declare is answered 500, in place
        of what the table of errors says."""
        description = OpenApi(
            routes, version=services.versions['gateway'], security=_security(services)
        )
        callers = Callers(services.authentication, services.trusted_proxies, services.rates)
        auditor = (
            None if services.audit is None else Auditor(services.audit, services.clock, callers)
        )

        def endpoint(route: Route[Any, Any]) -> _Endpoint[Any, Any]:
            return _Endpoint(route, services, callers, auditor, description, strict=strict)

        self._cross_origin = CrossOrigin(services.allowed_origins, _fields_taken(routes))
        self._entrance = Entrance(services.own_names, self._cross_origin.origins)
        self._answer_fields = AnswerFields(
            self._cross_origin,
            is_private=services.authentication.is_on,
            speaks_tls=services.speaks_tls,
        )
        self._auditor = auditor
        self._served: Paths[_Endpoint[Any, Any]] = Paths()
        for route in (*routes, *docs_of(routes)):
            _serve(self._served, services.base, endpoint(route))
        for route in UNVERSIONED:
            _serve(self._served, services.path_prefix, endpoint(route))
        self._all_methods = sorted(
            {route.method for route in routes} | {hdrs.METH_HEAD, hdrs.METH_OPTIONS}
        )

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; what is wrong with it, or here, as a GenericError."""
        trace, auditor = Trace(), self._auditor
        try:
            self._entrance.check(request)
            response = await self._answer(request, trace)
        except Exception as error:
            trace.error = error
            response = error_answer(request, error)
        except asyncio.CancelledError:
            if auditor is not None:
                auditor.given_up(request, trace)
            raise
        if auditor is not None:
            await auditor.after(request, trace, response.status)
        self._answer_fields.put_on(request, response)
        if leaves_http(request):
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, trace: Trace) -> web.StreamResponse:
        found = self._served.find(request.rel_url.raw_path)
        if found is None:
            return _answer_other(request, self._all_methods)
        endpoint = found.methods.get(request.method)
        if endpoint is not None:
            return await endpoint.answer(request, found.segments, trace)
        methods = sorted({*found.methods, hdrs.METH_OPTIONS})
        if request.method == hdrs.METH_OPTIONS:
            return _options(methods, self._cross_origin.preflight_fields(request, methods))
        raise web.HTTPMethodNotAllowed(request.method, methods)


class _Endpoint(Generic[At, B]):
    """A route as it is served."""

    def __init__(
        self,
        route: Route[At, B],
        services: Services,
        callers: Callers,
        auditor: Auditor | None,
        description: Description,
        *,
        strict: bool,
    ) -> None:
        self.route = route
        self._services = services
        self._callers = callers
        self._auditor = auditor
        self._base = services.base
        self._description = description
        self._strict = strict
        self._reader = Reader(route.takes)
        self._is_open = route.lets_strangers_in(open_probes=services.open_probes)
        self._open_as = route.open_as if services.open_probes else None
        self._chooses = len(offered_by(route.takes)) > 1
        """Whether `Accept` decides what is answered."""

    async def answer(
        self, request: web.BaseRequest, segments: Mapping[str, str], trace: Trace
    ) -> web.StreamResponse:
        """Let in who may, look up what the request is about, read its body, have it handled.

        `trace` is told on the way.
        """
        route, services = self.route, self._services
        trace.route, trace.segments = route, segments
        query = request.query
        caller = self._callers.let_in(request, is_open=self._is_open or self._is_page(request))
        trace.actor = caller.actor
        self._callers.count(request, caller.actor)
        if not caller.actor.role.includes(route.role):
            raise RoleTooLow(caller.actor.role, route.role)
        services = services.seen_by(caller.actor.scope)
        at = self._reader.read(segments, query, request.headers)
        if not route.is_probe:
            await services.executions.wait_open()
        await ask_for_body(request)
        target = Target(
            path=f'{caller.prefix}{request.rel_url.raw_path}'.removesuffix('/'),
            query=tuple(query.items()) if query else (),
        )

        def call_with(body: Any) -> Call[At, Any]:
            return Call(
                at=at,
                body=body,
                actor=caller.actor,
                base=f'{caller.prefix}{self._base}',
                target=target,
                services=services,
                description=self._description,
            )

        call = call_with(None)
        try:
            if route.finds is not None:
                await route.finds(call)
            if route.body is not None:
                check_sender = partial(self._callers.check, request, caller.actor)
                body = IncomingBody(request, services.patience, check_sender)
                call = call_with(await route.body.read(body))
            if self._auditor is not None:
                await self._auditor.before(request, trace, call)
            answer = trace.answer = await route.handler(call)
        except Exception as error:
            self._check_declared(error)
            raise
        status = answer.status or route.status
        return response_to(answer, status=status, request=request, chosen=self._chooses)

    def _is_page(self, request: web.BaseRequest) -> bool:
        """Tell whether what is asked for is open, and would be something else to a program."""
        if self._open_as is None:
            return False
        accept = request.headers.getall(hdrs.ACCEPT, [])
        return preferred_by(self.route.takes, accept) == self._open_as

    def _check_declared(self, error: Exception) -> None:
        """Tell of an error that has an answer, and that the route does not declare.

        Whoever asked gets that answer all the same, for it says what is wrong.
        """
        if row_of(type(error)) is None or self.route.declares(error):
            return
        undeclared = ErrorUndeclared(self.route, error)
        if self._strict:
            raise undeclared from error
        _log.error('%s', undeclared, exc_info=error)


def _serve(
    served: 'Paths[_Endpoint[Any, Any]]', base: str, endpoint: '_Endpoint[Any, Any]'
) -> None:
    """Serve a route below a base, and HEAD beside GET (RFC 9110, section 9.1)."""
    route = endpoint.route
    choices = {
        taken.name: taken.field.values
        for taken in taken_by(route.takes)
        if isinstance(taken.field, Segment)
    }
    methods = [route.method, *([hdrs.METH_HEAD] if route.method == hdrs.METH_GET else [])]
    for method in methods:
        served.add(method, f'{base}{route.path}', endpoint, choices, takes_rest=route.takes_rest)


def _fields_taken(routes: Iterable[Route[Any, Any]]) -> set[str]:
    """Return the names of the fields of a header that some request may have."""
    of_routes = {
        taken.name
        for route in routes
        for taken in taken_by(route.takes)
        if taken.place is Place.HEADER
    }
    return of_routes | {hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, CLIENT_ID}


def _security(services: Services) -> Security:
    return Security(
        is_on=services.authentication.is_on,
        has_clients=services.sessions is not None,
        open_probes=services.open_probes,
    )


def _options(methods: Iterable[str], more: Mapping[str, str]) -> web.Response:
    """Answer OPTIONS; a preflight of a page that may not ask fails for what is not there."""
    return web.Response(status=204, headers={hdrs.ALLOW: ','.join(methods), **more})


def _answer_other(request: web.BaseRequest, methods: Sequence[str]) -> web.StreamResponse:
    """Tell of the whole server where OPTIONS asks for that (RFC 9110, section 9.3.7); else 404.

    It does so by `*`, or by an absolute target without a path (RFC 9112, section 3.2.4). CONNECT
    has no path at all.
    """
    if request.method == hdrs.METH_CONNECT:
        raise web.HTTPMethodNotAllowed(request.method, methods)
    if request.method == hdrs.METH_OPTIONS and (request.raw_path == '*' or not request.path):
        return _options(methods, {})
    raise web.HTTPNotFound
