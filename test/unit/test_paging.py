# SPDX-License-Identifier: Apache-2.0
"""The two ways through a list, and what an answer says of what is around it."""

from typing import Any

from fakes import new_execution
from multidict import CIMultiDict, MultiDict
import pytest
import requests

from gateway_node.executions.documents import to_document
from gateway_node.executions.pages import (
    FoundPage,
    KeysetPage,
    NumberedPage,
    Order,
)
from gateway_node.executions.summary_texts import parts_of, SummaryText
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.paging import around_keyset, around_numbered, Paging
from gateway_node.http_server.request_reader import Reader
from gateway_node.http_server.targets import link_field, MAX_LINK_BYTES, Target

ID = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
OTHER = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAW'
HERE = Target(path='/robot/api/v1/executions', query=(('status', 'failed'), ('tag', 'a b,c')))
FILTERS = '/robot/api/v1/executions?status=failed&tag=a%20b,c'


def read(**query: str) -> Paging:
    return Reader(Paging).read({}, MultiDict(query), CIMultiDict())


@pytest.mark.parametrize(
    ('query', 'limit', 'reference'),
    [
        ({}, -100, None),
        ({'limit': '5'}, 5, None),
        ({'limit': '-5'}, -5, None),
        ({'limit': '1000', 'id_exclusive': ID}, 1000, ID),
        ({'limit': '-1000', 'id_exclusive': ID}, -1000, ID),
        ({'id_exclusive': ID}, -100, ID),
        ({'before': ID}, -100, ID),
        ({'before': ID, 'limit': '5'}, -5, ID),
        ({'before': ID, 'limit': '-5'}, -5, ID),
        ({'sort': 'id'}, -100, None),
    ],
)
def test_a_limit_is_a_number_and_a_direction(
    query: dict[str, str], limit: int, reference: str | None
) -> None:
    """Above 0 upwards from the reference or the oldest, below 0 downwards from it or the newest;
    `before` has a direction of its own, as clients of the version before send a positive limit."""
    asked = read(**query)
    assert asked.numbered is None
    assert asked.keyset == KeysetPage(limit=limit, reference=reference)


@pytest.mark.parametrize(
    ('query', 'number', 'size', 'order'),
    [
        ({'page': '3'}, 3, 20, Order.ID),
        ({'per_page': '1000'}, 1, 1000, Order.ID),
        ({'page': '2', 'per_page': '7', 'sort': 'duration'}, 2, 7, Order.DURATION),
        ({'sort': 'completed'}, 1, 20, Order.COMPLETED),
    ],
)
def test_a_page_has_a_number_and_a_size(
    query: dict[str, str], number: int, size: int, order: Order
) -> None:
    """One of the two, or another order than that of the ids, is enough to ask for one."""
    assert read(**query).numbered == NumberedPage(number=number, size=size, order=order)


@pytest.mark.parametrize(
    ('query', 'wrong'),
    [
        ({'limit': '5', 'page': '1'}, ['limit']),
        ({'limit': '5', 'id_exclusive': ID, 'per_page': '1'}, ['limit', 'id_exclusive']),
        ({'before': ID, 'page': '1'}, ['before']),
        ({'limit': '5', 'sort': 'created'}, ['limit']),
        ({'before': ID, 'id_exclusive': OTHER}, ['before']),
        ({'limit': '0'}, ['limit']),
        ({'limit': '1001'}, ['limit']),
        ({'limit': '-1001'}, ['limit']),
        ({'page': '0'}, ['page']),
        ({'per_page': '1001'}, ['per_page']),
        ({'sort': 'name'}, ['sort']),
    ],
)
def test_the_two_ways_do_not_mix(query: dict[str, str], wrong: list[str]) -> None:
    """400 names what does not go with the rest, or what is allowed."""
    with pytest.raises(InvalidParameter) as caught:
        read(**query)
    assert [each.path for each in caught.value.violations] == [f'/query/{name}' for name in wrong]


def found(*numbers: int, **fields: Any) -> FoundPage[SummaryText]:
    fields.setdefault('more', None)
    texts = [to_document(new_execution(number)) for number in numbers]
    return FoundPage(executions=tuple(map(parts_of, texts)), **fields)


def id_of(number: int) -> str:
    return new_execution(number).id


def test_the_newest_lead_on_to_older_ones() -> None:
    """`next` keeps the filters and the direction; nothing is before the first page."""
    around = around_keyset(HERE, KeysetPage(limit=-2), found(9, 8, more=id_of(8)))
    assert around.members == {'next': f'{FILTERS}&limit=-2&id_exclusive={id_of(8)}'}
    assert around.links == {
        'next': around.members['next'],
        'first': f'{FILTERS}&limit=-2',
        'last': f'{FILTERS}&limit=2',
    }


def test_the_oldest_lead_on_to_newer_ones() -> None:
    """Though each page is shown newest first."""
    page = KeysetPage(limit=2, reference=id_of(3))
    around = around_keyset(HERE, page, found(5, 4, more=id_of(5)))
    assert around.links == {
        'next': f'{FILTERS}&limit=2&id_exclusive={id_of(5)}',
        'prev': f'{FILTERS}&limit=-2&id_exclusive={id_of(4)}',
        'first': f'{FILTERS}&limit=2',
        'last': f'{FILTERS}&limit=-2',
    }


def test_before_is_written_as_what_it_stands_for() -> None:
    """So that a client of the version before goes on by `next`."""
    target = Target(path='/x', query=(('before', ID), ('limit', '5')))
    around = around_keyset(target, KeysetPage(limit=-5, reference=ID), found(2, more=id_of(2)))
    assert around.links['next'] == f'/x?limit=-5&id_exclusive={id_of(2)}'


def test_a_page_that_is_not_complete_says_so() -> None:
    """Also where it is empty; `next` leads on."""
    page = KeysetPage(limit=-2, reference=ID)
    around = around_keyset(HERE, page, found(more=OTHER, complete=False))
    assert around.members == {
        'next': f'{FILTERS}&limit=-2&id_exclusive={OTHER}',
        'complete': False,
    }
    assert 'prev' not in around.links


def numbered(number: int, total: int, size: int = 2, **fields: Any) -> Any:
    return around_numbered(
        Target(path='/x', query=(('page', str(number)), ('per_page', str(size)))),
        NumberedPage(number=number, size=size),
        total,
        shown=min(size, max(0, total - size * (number - 1))),
        **fields,
    )


def test_a_numbered_page_tells_how_many_there_are() -> None:
    """And where it stands among them; from behind the last one it leads back to that."""
    around = numbered(2, 5)
    assert around.members == {
        'pagination': {'page': 2, 'page_size': 2, 'total_items': 5, 'total_pages': 3},
        'next': '/x?per_page=2&page=3',
    }
    assert around.links == {
        'next': '/x?per_page=2&page=3',
        'prev': '/x?per_page=2&page=1',
        'first': '/x?per_page=2&page=1',
        'last': '/x?per_page=2&page=3',
    }
    assert 'next' not in numbered(3, 5).links
    assert numbered(9, 5).links['prev'] == '/x?per_page=2&page=3'
    assert numbered(9, 0).links['prev'] == '/x?per_page=2&page=1'
    nothing = numbered(1, 0)
    assert nothing.members['pagination']['total_pages'] == 0
    assert list(nothing.links) == ['first']


def test_an_estimate_is_told_as_one() -> None:
    """It has no last page, and a page that is full leads on whatever it says."""
    around = numbered(2, 4, approximate=True, complete=False)
    assert around.members['pagination']['approximate'] is True
    assert around.members['complete'] is False
    assert around.members['next'] == '/x?per_page=2&page=3'
    assert 'last' not in around.links


def test_a_link_field_is_not_endless() -> None:
    """Proxies refuse long headers: what does not fit is left out, and `next` is the first."""
    links = {'next': '/a', 'first': '/' + 'b' * MAX_LINK_BYTES, 'last': '/c'}
    assert link_field(links) == '</a>; rel="next", </c>; rel="last"'
    assert link_field({'next': '/' + 'b' * MAX_LINK_BYTES}) == ''


def test_a_query_is_written_as_it_was_read() -> None:
    """Decoded and encoded anew, for any text."""
    target = Target(path='/x', query=(('tag', 'a&b=c#d+e%ü'),))
    assert target.with_query({}) == '/x?tag=a%26b%3Dc%23d%2Be%25%C3%BC'
    assert target.with_query({'tag': None}) == '/x'


def test_links_are_read_by_clients_that_cut_at_every_semicolon() -> None:
    """And at every comma, or that trim quotes: none of these is in a link as it is. `next` in the
    body has commas, to be short."""
    target = Target(path='/x', query=(('tag', "a; rel='b', <c>"),))
    field = link_field({'next': target.with_query({'page': 2}), 'first': '/x'})
    assert ',' not in field.partition(', </x>')[0]
    assert requests.utils.parse_header_links(field) == [
        {'url': '/x?tag=a%3B%20rel%3D%27b%27%2C%20%3Cc%3E&page=2', 'rel': 'next'},
        {'url': '/x', 'rel': 'first'},
    ]
