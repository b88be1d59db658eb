# SPDX-License-Identifier: Apache-2.0
"""The table of routes agrees with itself."""

from collections.abc import Iterator, Mapping
import inspect
import re
import sys
from typing import Any, get_args, get_type_hints

from jsonschema import Draft202012Validator
import pytest

from gateway_node.entities.names import RESERVED_IDS
from gateway_node.executions.actors import Role
from gateway_node.http_server import executions, uploads
from gateway_node.http_server.bodies import DocumentBody, JsonBody, UploadBody
from gateway_node.http_server.docs import docs_of
from gateway_node.http_server.error_table import ERROR_TABLE, row_of
from gateway_node.http_server.errors import ClientSilent
from gateway_node.http_server.fields import Choice, ValueRefused
from gateway_node.http_server.route import BYTES, Route
from gateway_node.http_server.routes import ROUTES, UNVERSIONED
from gateway_node.http_server.schemas import SCHEMAS
from gateway_node.http_server.takes import Place, taken_by
from gateway_node.http_server.uploads import Form

EVERY_ROUTE = pytest.mark.parametrize(
    'route', [*ROUTES, *UNVERSIONED], ids=lambda route: f'{route.method} {route.path}'
)


READ_AS = {type(None): type(None), DocumentBody: Mapping[str, Any], UploadBody: Form}
"""What a handler gets of a body that is not read field by field."""


@EVERY_ROUTE
def test_a_route_takes_what_its_path_names(route: Route[Any, Any]) -> None:
    """Each placeholder is read, and nothing is read that is no placeholder."""
    taken = [each.name for each in taken_by(route.takes) if each.place is Place.PATH]
    assert taken == re.findall(r'\{(\w+)\}', route.path)
    assert not any(each.place is Place.BODY for each in taken_by(route.takes))


@EVERY_ROUTE
def test_a_handler_gets_what_its_route_takes(route: Route[Any, Any]) -> None:
    """Where a row names no body, its handler wants none."""
    at, body = get_args(get_type_hints(route.handler)['call'])
    assert issubclass(route.takes, at)
    if isinstance(route.body, JsonBody):
        assert body is route.body.kind
        assert all(each.place is Place.BODY for each in taken_by(body))
    else:
        assert body == READ_AS[type(route.body)]


@EVERY_ROUTE
def test_a_handler_sees_nothing_of_aiohttp(route: Route[Any, Any]) -> None:
    """It gets values and gives values back; an upload's parts come through a port."""
    modules = [sys.modules[route.handler.__module__], uploads]
    assert not any('aiohttp' in inspect.getsource(module) for module in modules)


@EVERY_ROUTE
def test_what_a_route_takes_has_schemas(route: Route[Any, Any]) -> None:
    """Each is JSON Schema 2020-12."""
    for taken in taken_by(route.takes):
        Draft202012Validator.check_schema(taken.schema())
    if route.body is not None:
        Draft202012Validator.check_schema(route.body.schema())
        assert route.body.media_type


@EVERY_ROUTE
def test_what_a_route_answers_has_a_schema(route: Route[Any, Any]) -> None:
    """By its name; a route that answers nothing says 204."""
    assert route.answers in {None, BYTES, *SCHEMAS}
    assert (route.answers is None) == (route.status in {204, 307})
    assert route.answers_end in {None, *SCHEMAS}


@EVERY_ROUTE
def test_who_changes_something_is_more_than_a_viewer(route: Route[Any, Any]) -> None:
    """And who looks need be no more, but at the audit: it tells who did what. What is open to
    strangers needs nothing."""
    looks = Role.ADMIN if route.path == '/audit' else Role.VIEWER
    assert (route.role is looks) == (route.method == 'GET' or route.is_open)


@EVERY_ROUTE
def test_each_error_of_a_route_has_an_answer(route: Route[Any, Any]) -> None:
    """And is named once."""
    assert all(row_of(kind) is not None for kind in route.all_errors)
    assert len(route.errors) == len(set(route.errors))


def test_each_answer_to_an_error_is_of_some_route() -> None:
    """No row of the table of errors is dead."""
    assert ERROR_TABLE.keys() == {
        kind for route in (*ROUTES, *UNVERSIONED) for kind in route.all_errors
    }


@pytest.mark.parametrize('name', SCHEMAS)
def test_the_schemas_are_json_schema(name: str) -> None:
    """2020-12, which OpenAPI 3.1 takes as it is."""
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_no_schema_is_unused() -> None:
    """Each is answered by a route, or is a part of one that is."""
    answered = {route.answers for route in ROUTES} | {'GenericError'}
    named = set(re.findall(r'#/components/schemas/(\w+)', str(SCHEMAS)))
    assert SCHEMAS.keys() == (answered | named) - {None, BYTES}


def test_no_route_stands_twice() -> None:
    """A row that another one hides would never be served."""
    rows = [(route.method, route.path) for route in ROUTES]
    assert len(rows) == len(set(rows))


def test_what_a_path_says_itself_cannot_be_an_id() -> None:
    """Where one route has a word and another a placeholder, the word is no value: else what has
    that id could not be reached."""
    rows = [*ROUTES, *docs_of(ROUTES)]
    words = {(tuple(begin), word) for row in rows for begin, word in _segments(row.path)}
    for row in rows:
        fields = {each.name: each.field for each in taken_by(row.takes)}
        for begin, segment in _segments(row.path):
            if not segment.startswith('{') or isinstance(fields[segment[1:-1]], Choice):
                continue
            for word in {word for other, word in words if other == tuple(begin)} - {segment}:
                if not word.startswith('{') and word not in RESERVED_IDS:
                    with pytest.raises(ValueRefused):
                        fields[segment[1:-1]].read_text(word)


def _segments(path: str) -> Iterator[tuple[list[str], str]]:
    """Go through the segments of a path, each with those in front, placeholders without names."""
    segments = path.split('/')[1:]
    for number, segment in enumerate(segments):
        yield [re.sub(r'\{\w+\}', '{}', each) for each in segments[:number]], segment


def test_a_route_declares_the_subclasses_of_its_errors() -> None:
    """And what reading its body may raise, where it has one."""
    (start,) = (each for each in ROUTES if each.handler is executions.start_execution)
    show = next(each for each in ROUTES if each.answers == 'Execution' and each.method == 'GET')
    assert start.declares(ClientSilent(1.0))
    assert not show.declares(ClientSilent(1.0))
    assert not show.declares(ValueError())
