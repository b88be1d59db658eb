# SPDX-License-Identifier: Apache-2.0
"""What a tokens file may say, and what is told where it says something else."""

import hashlib
from pathlib import Path
import stat

import pytest

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import FileInvalid
from gateway_node.access.token_file import digest_of, parse_tokens, Tokens
from gateway_node.access.watched_file import FileAsRead
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

SHA_A, SHA_B = hashlib.sha256(b'a').hexdigest(), hashlib.sha256(b'b').hexdigest()
ENTRY = f'{{name: anna, role: viewer, sha256: "{SHA_A}"}}'


def parsed(text: str, mode: int = 0o600) -> Tokens:
    """Return what a file with this text says."""
    return parse_tokens(FileAsRead(content=text.encode(), mode=stat.S_IFREG | mode))


def faults(text: str, mode: int = 0o600) -> list[str]:
    """Return what is told of a file."""
    with pytest.raises(FileInvalid) as refused:
        parsed(text, mode)
    return str(refused.value).removeprefix('cannot be used: ').split('; ')


def test_an_entry_says_who_bears_a_token_and_what_they_may() -> None:
    """The token itself stands nowhere."""
    tokens = parsed(
        f"""
        tokens:
        - {ENTRY}
        - name: fleet@north
          role: operator
          sha256: '{SHA_B.upper()}'
          created_at: '2026-01-01T00:00:00Z'
          expires_at: '2027-01-01T01:00:00+01:00'
          entities: ['apps/arm_*', '*']
          scripts: [check]
          tags: []
        """
    )
    assert tokens.by_name['anna'].credential == Credential(name='anna', role=Role.VIEWER)
    fleet = tokens.by_digest[digest_of('b')]
    assert fleet is tokens.by_name['fleet@north']
    assert fleet.credential.scope == Scope(
        entities=('apps/arm_*', '*'), scripts=('check',), tags=()
    )
    assert str(fleet.expires_at) == '2027-01-01 00:00:00+00:00'
    assert 'digest' not in repr(fleet)


def test_no_tokens_let_nobody_in_and_an_empty_file_is_no_file_of_tokens() -> None:
    """A writer that is half done must not have everybody refused."""
    assert parsed('tokens: []') == Tokens(by_digest={}, by_name={})
    for text in ('', '\n', '{}', '# soon\n'):
        assert faults(text)[0] in (
            "the document has no 'tokens'",
            'the document is null',
        )


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(mode: int) -> None:
    """Who may write it lets themselves in."""
    (told, allowed) = faults(f'tokens: [{ENTRY}]', mode)
    assert told == f'has mode {stat.filemode(stat.S_IFREG | mode)}'
    assert allowed == 'allowed: a file that only its owner may read (chmod 600)'


def test_all_that_is_wrong_is_told_at_once_with_its_place() -> None:
    """Who mends a file on a robot does not want to try five times."""
    told = '; '.join(
        faults(
            f"""
            tokens:
            - {ENTRY}
            - name: 'an na'
              role: root
              sha256: gwt_oops
              token: gwt_oops
              expires_at: soon
              entities: [arm_1]
              tags: [3]
            - just a text
            - {{role: viewer}}
            - {{name: anna, role: admin, sha256: "{SHA_B}"}}
            - {{name: bert, role: admin, sha256: "{SHA_B}"}}
            """
        )
    )
    for fault in (
        "tokens[1] has the key 'token'; allowed: name, role, sha256,",
        "tokens[1].name is 'an na'; allowed: 1 to 64",
        "tokens[1].role is 'root'; allowed: viewer, operator, configurator, admin",
        'tokens[1].sha256 is no SHA-256; allowed: 64 hexadecimal digits, in quotes',
        "tokens[1].expires_at is 'soon'; allowed: a time with its zone",
        "tokens[1].entities[0] is 'arm_1', which no entity is like",
        'tokens[1].tags[0] is 3; allowed: a text (in quotes)',
        "tokens[2] is 'just a text'; allowed: a mapping",
        "tokens[3] has no 'name'",
        "tokens[3] has no 'sha256'",
        "tokens[4].name is that of tokens[0], 'anna'",
        'tokens[5].sha256 is that of tokens[4]',
    ):
        assert fault in told
    assert 'oops' not in told


@pytest.mark.parametrize(
    'text',
    [
        'tokens: [gwt_oops',
        'tokens:\n  - name: a\n gwt_oops: x: y',
        'gwt_oops\n- 1',
        '"gwt_oops',
        'tokens: &a [*a, gwt_oops]',
    ],
)
def test_what_is_no_yaml_is_told_without_what_stands_there(text: str) -> None:
    """It may be a secret."""
    assert 'oops' not in '; '.join(faults(text))


@pytest.mark.parametrize(
    'moment',
    [
        '2027-01-01',
        '2027-01-01T00:00:00',
        '',
        '5',
        '2027-13-01',
        '0001-01-01T00:00:00+01:00',
        '9999-12-31T23:59:59-01:00',
    ],
)
def test_a_time_has_a_zone(moment: str) -> None:
    """A robot is moved through several."""
    (told, _allowed) = faults(
        f'tokens: [{{name: a, role: viewer, sha256: "{SHA_A}", expires_at: "{moment}"}}]'
    )
    assert told.startswith('tokens[0].expires_at is ')


def test_a_token_of_any_bytes_has_a_digest() -> None:
    """A header may hold what is no text."""
    assert digest_of('\udcff') == hashlib.sha256(b'\xff').digest()


def test_the_example_of_the_docs_can_be_used() -> None:
    """As it stands there."""
    page = (Path(__file__).parents[2] / 'docs' / 'operating.md').read_text(encoding='utf-8')
    example = page.split('```yaml\ntokens:', 1)[1].split('```', 1)[0]
    tokens = parsed(f'tokens:{example}')
    assert tokens.by_name.keys() == {'anna', 'night-shift'}
    assert tokens.by_name['night-shift'].credential.scope == Scope(entities=('apps/arm_*',))
