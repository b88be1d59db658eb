# SPDX-License-Identifier: Apache-2.0
"""What the Python client writes into a URL is what the gateway reads there."""

import datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.client import Gateway
from gateway_node.client.queries import by_parameters, target
from gateway_node.http_server.query_fields import SearchText, Several

TEXTS = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), min_size=1)


@given(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
def test_several_texts_are_read_as_they_are(texts: list[str]) -> None:
    """Commas and backslashes part nothing that belongs together."""
    pairs = parse_qsl(urlsplit(target('executions', tag=texts)).query, keep_blank_values=True)
    assert {name for name, _ in pairs} == {'tag'}
    read = Several(SearchText(listed=True)).read_texts([value for _, value in pairs])
    assert read == frozenset(texts)


@given(TEXTS)
def test_a_part_of_a_path_is_one_part(text: str) -> None:
    """Whatever is in it: slashes, spaces, questions."""
    parts = urlsplit(target('executions', text, 'output')).path.split('/')
    assert [unquote(part) for part in parts] == ['', 'executions', text, 'output']


def test_values_have_the_forms_of_the_api() -> None:
    """None asks for nothing; a moment goes with its offset."""
    moment = datetime.datetime(
        2026, 1, 31, 13, tzinfo=datetime.timezone(datetime.timedelta(0, 3600))
    )
    asked = target('executions', terminating=True, limit=-2, script=None, created_after=moment)
    assert parse_qsl(urlsplit(asked).query) == [
        ('terminating', 'true'),
        ('limit', '-2'),
        ('created_after', '2026-01-31T12:00:00+00:00'),
    ]
    assert by_parameters({'mode': 'a,b', 'deep': [1, None]}) == {
        'parameter.mode': 'a,b',
        'parameter.deep': '[1, null]',
    }


@pytest.mark.parametrize(
    'url',
    [
        'http://robot:8080',
        'http://robot:8080/',
        'http://robot:8080/api/v1',
        'http://robot:8080/api/v1/',
    ],
)
def test_the_base_of_the_api_may_be_in_the_url_or_not(url: str) -> None:
    """As the gateway writes it in its log, and as one types it."""
    assert Gateway(url).url == 'http://robot:8080/api/v1'


def test_a_prefix_stays_in_front_of_the_base() -> None:
    """As of a proxy, or of `server.path_prefix`."""
    assert Gateway('https://[::1]/robots/7').url == 'https://[::1]/robots/7/api/v1'


@pytest.mark.parametrize(
    'url', ['robot:8080', 'ftp://robot', 'http://', 'http://me:word@robot', 'http://robot/?x=1']
)
def test_what_is_no_url_of_a_gateway_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match='gateway has'):
        Gateway(url)
