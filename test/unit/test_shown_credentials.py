# SPDX-License-Identifier: Apache-2.0
"""What a client shows to a gateway, and to which."""

from pathlib import Path

import pytest

from gateway_node.client import Gateway
from gateway_node.client.shown_credentials import authorization

URL = 'http://127.0.0.1:8080'
SHOWN = {'Authorization': 'Bearer abc'}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give what a gateway gives a script, in its variables too."""
    path = tmp_path / 'credentials'
    path.write_text('Authorization: Bearer abc\n')
    monkeypatch.setenv('GATEWAY_CREDENTIALS', str(path))
    monkeypatch.setenv('GATEWAY_URL', f'{URL}/api/v1')
    return path


@pytest.mark.parametrize(
    'content', ['abc', 'abc\n', 'Authorization: Bearer abc\n', 'authorization:bearer  abc\nmore']
)
def test_a_token_comes_from_where_it_is(tmp_path: Path, content: str) -> None:
    """In a file it stands alone, or as a header."""
    path = tmp_path / 'file'
    path.write_text(content)
    assert authorization(URL, 'abc', None) == SHOWN
    assert authorization(URL, None, path) == authorization(URL, None, str(path)) == SHOWN


def test_without_a_token_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As to a gateway that asks nobody who they are."""
    monkeypatch.delenv('GATEWAY_CREDENTIALS', raising=False)
    monkeypatch.setenv('GATEWAY_URL', URL)
    assert authorization(URL, None, None) == {}


@pytest.mark.usefixtures('file')
@pytest.mark.parametrize(
    ('url', 'is_shown'),
    [
        (URL, True),
        (f'{URL}/api/v1/', True),
        ('http://127.0.0.1:8081', False),
        ('http://127.0.0.2:8080', False),
        ('https://127.0.0.1:8080', False),
        ('http://127.0.0.1.example:8080', False),
    ],
)
def test_a_script_shows_what_it_was_given_to_the_gateway_that_gave_it(
    url: str, *, is_shown: bool
) -> None:
    """Another one could else use it there."""
    assert authorization(url, None, None) == (SHOWN if is_shown else {})
    assert authorization(url, 'other', None) == {'Authorization': 'Bearer other'}


def test_what_is_no_token_is_refused_without_being_told(tmp_path: Path) -> None:
    """It could be a secret all the same."""
    path = tmp_path / 'file'
    for token in ('', 'a b', 'a\r\nX: y', 'ä', 'a\0'):
        with pytest.raises(ValueError, match='visible characters') as refused:
            Gateway(URL, token=token)
        assert repr(token)[1:-1] not in str(refused.value) or not token
        path.write_text(token, encoding='utf-8', newline='')
        if '\n' not in token:
            with pytest.raises(ValueError, match='visible characters'):
                Gateway(URL, token_file=path)
    with pytest.raises(ValueError, match='not both'):
        Gateway(URL, token='a', token_file=path)
    with pytest.raises(FileNotFoundError):
        Gateway(URL, token_file=tmp_path / 'absent')
