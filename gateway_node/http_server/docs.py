# SPDX-License-Identifier: Apache-2.0
"""What describes the API, part by part: behind each path `docs`, as in SOVD (ISO 17978-3, 7.5).

The rows are made of the rows of the table of routes, which says nothing of them.
"""

from collections.abc import Awaitable, Callable, Sequence
import dataclasses
import enum
import functools
import re
from typing import Any, cast

from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Role
from gateway_node.http_server.calls import Answer, Call, Document
from gateway_node.http_server.docs_page import DocsPage, OfFile
from gateway_node.http_server.media_types import accepts, HTML, JSON
from gateway_node.http_server.route import BYTES, Errors, Route
from gateway_node.http_server.services import Services
from gateway_node.http_server.takes import Place, Taken, taken_by
from gateway_node.scripts.errors import LibraryUnavailable, ScriptNotFound, ScriptsTurnedOff
from gateway_node.scripts.values import Script

_ERRORS: Errors = (
    EntityNotFound,
    AreaNotFound,
    FunctionNotFound,
    ScriptsTurnedOff,
    ScriptNotFound,
    LibraryUnavailable,
)


def docs_of(routes: Sequence[Route[Any, Any]]) -> tuple[Route[Any, Any], ...]:
    """Return a row for each path of a table of routes, what describes this part; and one for the
    files of the page on which it is shown.

    Not behind a path below which scripts give the names: one of their files may be called `docs`.
    """
    page = DocsPage()
    rests = {route.path for route in routes if route.takes_rest}
    named_by_scripts = rests | {path.rpartition('/')[0] for path in rests}
    return (
        *(
            Route(
                'GET',
                f'{path}/docs',
                Role.VIEWER,
                _describe(path, page),
                _what_it_names(takes),
                answers='Description',
                errors=_ERRORS,
                open_as=HTML,
            )
            for path, takes in {route.path: route.takes for route in routes}.items()
            if path not in named_by_scripts
        ),
        Route(
            'GET',
            '/docs/{file}',
            Role.VIEWER,
            _show_file(page),
            OfFile,
            answers=BYTES,
            is_probe=True,
            is_open=True,
        ),
    )


def _what_it_names(takes: type) -> type:
    """Return what takes the values of the path, of all that a route takes, and `Accept`."""
    return _taking(tuple(each for each in taken_by(takes) if each.place is Place.PATH))


@functools.cache
def _taking(values: tuple[Taken, ...]) -> type:
    """Return what takes these values and `Accept`; most paths have the same ones."""
    fields = [
        (each.attribute, Any, dataclasses.field(metadata={'taken': each})) for each in values
    ]
    accept = ('accept', str, cast(Any, accepts(JSON, HTML)))
    return dataclasses.make_dataclass('Described', [*fields, accept], frozen=True, kw_only=True)


def _describe(path: str, page: DocsPage) -> Callable[[Call[Any, None]], Awaitable[Answer]]:
    async def describe_part(call: Call[Any, None]) -> Answer:
        """Describe a path and what lies below it: OpenAPI 3.1, or a page to try it."""
        there = _there(path, call.at)
        # A stranger gets the same page of all that may be there or not.
        script = None if call.actor.is_stranger else await _find(call.services, there)
        if call.at.accept == HTML:
            return Answer(body=await page.page(call.base, f'{there or "/"} - gateway_node'))
        content = call.description.part_below(call.base, there, script)
        return Answer(body=Document(content=content, media_type=JSON))

    return describe_part


def _show_file(page: DocsPage) -> Callable[[Call[OfFile, None]], Awaitable[Answer]]:
    async def show_file(call: Call[OfFile, None]) -> Answer:
        """Show a file of the page."""
        return Answer(body=await page.file(call.at), asked=call.at)

    return show_file


def _there(path: str, at: object) -> str:
    """Return the path that was asked for, below the base."""
    values = {
        each.name: value.value if isinstance(value, enum.Enum) else str(value)
        for each in taken_by(type(at))
        if each.place is Place.PATH
        for value in [getattr(at, each.attribute)]
    }
    return re.sub(r'\{(\w+)\}', lambda placeholder: values[placeholder[1]], path)


async def _find(services: Services, path: str) -> Script | None:
    """Look up what a path is about; return its script, where there is one.

    Not its execution: of each the description is the same.
    """
    match path.split('/')[1:]:
        case ['areas', area_id, *_]:
            services.directory.area(area_id)
        case ['functions', function_id, *_]:
            services.directory.function(function_id)
        case ['apps' | 'components' as collection, entity_id, *below]:
            entity = EntityRef.from_path(f'{collection}/{entity_id}')
            services.directory.check(entity)
            if below[:1] == ['scripts']:
                return await _find_script(services, entity, *below[1:])
            if below[:1] == ['executions']:
                services.library.check_turned_on()
        case ['scripts' | 'executions', *_]:
            services.library.check_turned_on()
    return None


async def _find_script(
    services: Services, entity: EntityRef, script_id: str | None = None, *below: str
) -> Script | None:
    """Return the script; None where the executions are asked for of one that is gone."""
    services.library.check_turned_on()
    if script_id is None:
        return None
    try:
        return await services.library.get(entity, script_id)
    except ScriptNotFound:
        if below[:1] == ('executions',):
            return None
        raise
