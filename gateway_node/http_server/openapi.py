# SPDX-License-Identifier: Apache-2.0
"""The description of the API (OpenAPI 3.1), made of the table of routes.

What stands in it is what the application reads requests by and answers them by.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
import functools
import inspect
import json
import re
from typing import Any

from aiohttp import hdrs

from gateway_node.http_server.bodies import Body
from gateway_node.http_server.media_types import is_accept
from gateway_node.http_server.openapi_answers import responses_of
from gateway_node.http_server.openapi_parts import (
    Operation,
    PathItems,
    paths_below,
    schemas_of,
)
from gateway_node.http_server.openapi_security import Security
from gateway_node.http_server.route import Route
from gateway_node.http_server.schema_parts import examples_below, reference_to, Schema
from gateway_node.http_server.schemas import SCHEMAS
from gateway_node.http_server.services import SOVD_VERSION
from gateway_node.http_server.takes import Place, Taken, taken_by
from gateway_node.scripts.values import Script

_BASES = 16
"""Below how many bases a gateway is described at once: its own, and one a proxy's prefix."""
_TAGS = {
    'gateway': 'What tells about the gateway itself.',
    'entities': 'What can be diagnosed: apps, components, areas and functions.',
    'scripts': 'What can be executed.',
    'executions': 'Executions of scripts: started, followed, stopped, removed.',
    'locks': 'Who holds an entity, so that nobody else changes anything there.',
}
_TAG_OF_SEGMENT = {
    'locks': 'locks',
    'executions': 'executions',
    'scripts': 'scripts',
    'apps': 'entities',
    'components': 'entities',
    'areas': 'entities',
    'functions': 'entities',
}
"""The first that a path has decides."""
_ABOUT = {
    'title': 'gateway_node',
    'description': (
        'Behind each path, `docs` describes what is there and below: as this document, or to a '
        'browser as a page.'
    ),
}


class OpenApi:
    """Describes the rows of a table of routes."""

    def __init__(
        self,
        routes: Sequence[Route[Any, Any]],
        *,
        version: str,
        security: Security | None = None,
    ) -> None:
        self._routes = routes
        self._version = version
        self._security = security or Security()
        self.endpoints = [f'{route.method} {route.path or "/"}' for route in routes]
        self.document_below = functools.lru_cache(_BASES)(self._document_below)

    def part_below(self, base: str, path: str, script: Script | None) -> bytes:
        """Return the document of a path and what lies below it; see `calls.Description`."""
        paths = paths_below(self._operations, path, script)
        return self._document(base, paths, _about_script(path, script) if script else _ABOUT)

    def _document_below(self, base: str) -> bytes:
        """Return the document, as JSON, for who sees the API below `base`."""
        return self._document(base, paths_below(self._operations, ''), _ABOUT)

    @functools.cached_property
    def _operations(self) -> list[Operation]:
        return [
            Operation(route=route, told=_operation(route, name) | self._security.of(route))
            for route, name in zip(self._routes, _operation_ids(self._routes), strict=True)
        ]

    def _document(self, base: str, paths: PathItems, about: Mapping[str, str]) -> bytes:
        tags = {tag for item in paths.values() for each in item.values() for tag in each['tags']}
        schemas = schemas_of(paths, SCHEMAS | _bodies(self._routes))
        document = {
            'openapi': '3.1.0',
            'info': {
                **about,
                'version': self._version,
                'summary': 'Diagnostic scripts of a ROS 2 robot, in the style of SOVD.',
                'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
                'x-sovd-version': SOVD_VERSION,
            },
            'servers': [{'url': base}],
            'security': [],
            'tags': [
                {'name': name, 'description': text} for name, text in _TAGS.items() if name in tags
            ],
            'paths': paths,
            'components': {
                'schemas': examples_below(base, schemas),
                **self._security.schemes_below(base),
            },
        }
        return json.dumps(document, ensure_ascii=False, separators=(',', ':')).encode()


def _about_script(path: str, script: Script) -> dict[str, str]:
    """Tell in a document's head which script it is about, and of which entity."""
    entity = '/'.join(path.split('/')[1:3])
    described = [text for text in (script.description, _ABOUT['description']) if text]
    return {'title': f'{script.name} of {entity}', 'description': '\n\n'.join(described)}


def _operation_ids(routes: Iterable[Route[Any, Any]]) -> list[str]:
    """Return the names of the handlers; the second row of one has its path behind it."""
    names = []
    met: Counter[str] = Counter()
    for route in routes:
        name = route.handler.__name__
        met[name] += 1
        if met[name] > 1:
            name += '_of_' + '_'.join(re.findall(r'\w+', route.path))
        names.append(name)
    return names


def _operation(route: Route[Any, Any], name: str) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(route.handler) or '').partition('\n\n')
    operation: dict[str, Any] = {
        'operationId': name,
        'tags': [_tag(route.path)],
        'summary': summary.rstrip('.'),
        'x-gateway-role': route.role.value,
    }
    if description:
        operation['description'] = description
    if parameters := _parameters(route):
        operation['parameters'] = parameters
    if route.body is not None:
        operation['requestBody'] = _request_body(route.body)
    operation['responses'] = responses_of(route)
    return operation


def _tag(path: str) -> str:
    segments = path.split('/')
    return next((tag for name, tag in _TAG_OF_SEGMENT.items() if name in segments), 'gateway')


def _parameters(route: Route[Any, Any]) -> list[dict[str, Any]]:
    """Return them without `Accept` and `Authorization`, which OpenAPI ignores here: the answers
    and the security of an operation say what these are for."""
    return [
        _parameter(taken)
        for taken in taken_by(route.takes)
        if not is_accept(taken) and taken.name != hdrs.AUTHORIZATION
    ]


def _parameter(taken: Taken) -> dict[str, Any]:
    if taken.is_family:
        return _family(taken)
    return {
        'name': taken.name,
        'in': taken.place.value,
        **({'description': taken.about} if taken.about else {}),
        'required': taken.required or taken.place is Place.PATH,
        'schema': taken.schema(),
    }


def _family(taken: Taken) -> dict[str, Any]:
    """Tell of any number of names: exploded, each member of an object is one of the query."""
    schema = {
        'type': 'object',
        'patternProperties': {f'^{re.escape(taken.name)}.': taken.field.schema()},
        'additionalProperties': False,
        'maxProperties': taken.max_names,
    }
    return {
        'name': taken.shown_name,
        'in': taken.place.value,
        'description': taken.about,
        'required': False,
        'style': 'form',
        'explode': True,
        'schema': schema,
    }


def _request_body(body: Body[Any]) -> dict[str, Any]:
    content: dict[str, Any] = {'schema': reference_to(body.name)}
    if body.encoding:
        content['encoding'] = {
            name: {'contentType': media_type} for name, media_type in body.encoding.items()
        }
    media_types = (body.media_type, *body.other_media_types)
    return {'required': body.required, 'content': dict.fromkeys(media_types, content)}


def _bodies(routes: Iterable[Route[Any, Any]]) -> dict[str, Schema]:
    return {route.body.name: route.body.schema() for route in routes if route.body is not None}
