# SPDX-License-Identifier: Apache-2.0
"""Reading what a route takes, from where it is declared to stand."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from multidict import CIMultiDict, MultiDict
import pytest

from gateway_node.executions.values import StopAction
from gateway_node.http_server.errors import InvalidParameter, InvalidRequest
from gateway_node.http_server.fields import Arguments, Choice, Id, Integer, Text
from gateway_node.http_server.request_reader import MAX_VIOLATIONS, Reader
from gateway_node.http_server.takes import (
    body_schema,
    header,
    member,
    optional,
    path,
    query,
    required_query,
)


@dataclass(frozen=True, kw_only=True)
class Head:
    thing: str = path(Id())
    limit: int = query(Integer(1, 10), default=5)
    after: str | None = query(Id(), default=None)
    client: str | None = header('X-Client-Id', Id(), default=None)


@dataclass(frozen=True, kw_only=True)
class Body:
    action: StopAction = member(Choice(StopAction))
    words: tuple[str, ...] = optional(Arguments(max_items=5, max_bytes=5), default=())
    note: str | None = optional(Text(), default=None)


def read(thing: str = 'x', query: str = '', **headers: str) -> Head:
    given: MultiDict[str] = MultiDict()
    for name, _, value in (pair.partition('=') for pair in query.split('&') if pair):
        given.add(name, value)
    named = CIMultiDict({name.replace('_', '-'): value for name, value in headers.items()})
    return Reader(Head).read({'thing': thing}, given, named)


def violations(error: InvalidParameter | InvalidRequest) -> list[tuple[str, str]]:
    return [(violation.path, violation.reason) for violation in error.violations]


def test_what_is_not_given_has_its_default() -> None:
    """Query and headers may be left out; the path is always there."""
    assert read() == Head(thing='x', limit=5, after=None, client=None)


def test_values_come_as_the_handler_wants_them() -> None:
    """A number is a number; the case of a header's name does not matter."""
    assert read('y', 'after=a&limit=7', x_client_id='me') == Head(
        thing='y', limit=7, after='a', client='me'
    )


def test_a_value_of_the_query_may_have_to_be_there() -> None:
    """What is missing is told as all else that is wrong."""

    @dataclass(frozen=True, kw_only=True)
    class Search:
        text: str = required_query(Text(), name='q', about='What is searched for.')
        limit: int = query(Integer(1, 10), default=5)

    read = Reader(Search).read
    assert read({}, MultiDict(q='a'), MultiDict()) == Search(text='a', limit=5)
    with pytest.raises(InvalidParameter) as caught:
        read({}, MultiDict(limit='0'), MultiDict())
    assert str(caught.value) == "the query parameter 'q' is missing (and 1 more)"
    assert violations(caught.value) == [
        ('/query/q', 'is missing'),
        ('/query/limit', "is '0'; allowed: 1 to 10"),
    ]


def test_all_that_is_wrong_in_path_query_and_headers_is_told_at_once() -> None:
    """Each by JSON Pointer; the message is the first one's, and tells how many there are."""
    with pytest.raises(InvalidParameter) as caught:
        read('-x', 'limit=0&after=a&after=b&li~mit=1', x_client_id='?')
    assert [path for path, _ in violations(caught.value)] == [
        '/query/li~0mit',
        '/path/thing',
        '/query/limit',
        '/query/after',
        '/header/X-Client-Id',
    ]
    assert str(caught.value) == (
        "unknown query parameter 'li~mit'; allowed: limit, after (and 4 more)"
    )
    assert ('/query/after', 'is given 2 times; allowed: once') in violations(caught.value)


def test_one_violation_is_the_message() -> None:
    """Nothing is added where nothing is left to tell."""
    with pytest.raises(InvalidParameter, match=r"^limit is '11'; allowed: 1 to 10$") as caught:
        read('x', 'limit=11')
    assert violations(caught.value) == [('/query/limit', "is '11'; allowed: 1 to 10")]


def test_a_body_comes_as_the_handler_wants_it() -> None:
    """Null stands for a default that is nothing, and for no other."""
    assert Reader(Body).read_body({'action': 'stop', 'note': None}) == Body(
        action=StopAction.STOP, words=(), note=None
    )
    with pytest.raises(InvalidParameter, match='words is no list of texts'):
        Reader(Body).read_body({'action': 'stop', 'words': None})


def test_all_that_is_wrong_in_a_body_is_told_at_once() -> None:
    """What is malformed comes first and decides the code; places inside of a value are named."""
    with pytest.raises(InvalidRequest) as caught:
        Reader(Body).read_body({'acton': 'stop', 'note': 7, 'words': ['a', 'toolong', 'b\0']})
    assert [path for path, _ in violations(caught.value)] == [
        '/body/acton',
        '/body/action',
        '/body/words/1',
        '/body/words/2',
        '/body/note',
    ]
    assert str(caught.value) == (
        "unknown field 'acton'; allowed: action, words, note (and 4 more)"
    )


def test_wrong_values_alone_are_invalid_parameters() -> None:
    """invalid-request is for what is unknown or missing."""
    with pytest.raises(InvalidParameter, match='action is 7; allowed: stop, forced_termination'):
        Reader(Body).read_body({'action': 7})


def test_an_answer_does_not_grow_with_what_is_wrong() -> None:
    """At most so many violations, names cut short, and the number of all in the message."""
    with pytest.raises(InvalidRequest, match=r'\(and 999 more\)$') as caught:
        Reader(Body).read_body({f'{number}{"x" * 1000}': 0 for number in range(999)})
    assert len(caught.value.violations) == MAX_VIOLATIONS
    assert all(len(path) < 100 for path, _ in violations(caught.value))


def test_a_body_tells_its_schema() -> None:
    """What is required, what else there may be, and that there is nothing more."""
    schema = body_schema(Body)
    assert schema['required'] == ['action']
    assert list(schema['properties']) == ['action', 'words', 'note']
    assert schema['additionalProperties'] is False
    assert schema['properties']['note'] == {
        'anyOf': [{'type': 'string'}, {'type': 'null'}],
        'default': None,
    }


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(['stop', 'a', 'toolong', '\0', '']),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
BODIES = st.dictionaries(st.sampled_from(['action', 'words', 'note', 'acton']), VALUES)


@given(BODIES)
def test_a_body_is_taken_where_its_schema_takes_it(body: dict[str, Any]) -> None:
    """The schema that is shown is the one that is kept, for the body as a whole too."""
    try:
        Reader(Body).read_body(body)
        taken = True
    except (InvalidParameter, InvalidRequest):
        taken = False
    assert taken == Draft202012Validator(body_schema(Body)).is_valid(body)
