# SPDX-License-Identifier: Apache-2.0
"""`gateway_token` makes a token, shows it once, and puts its entry into a tokens file."""

from concurrent.futures import ThreadPoolExecutor
import datetime
import hashlib
import os
from pathlib import Path
import re
import shlex
import stat

import pytest

from gateway_node.access.token_command import main
from gateway_node.access.token_file import digest_of, parse_tokens, Token, Tokens
from gateway_node.access.watched_file import FileAsRead
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

ANNA = ['--name', 'anna', '--role', 'operator']
SHA = hashlib.sha256(b'b').hexdigest()


def said_by(path: Path) -> Tokens:
    """Return what a file says to the gateway."""
    return parse_tokens(FileAsRead(content=path.read_bytes(), mode=path.stat().st_mode))


def made(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> tuple[str, Token]:
    """Make a token in a file; return it and its entry."""
    main([*arguments, '--file', str(path)])
    token, nothing = capsys.readouterr().out.split('\n')
    assert nothing == ''
    return token, said_by(path).by_digest[digest_of(token)]


def test_a_token_is_shown_once_and_its_entry_is_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """256 bits of chance; the file is for its owner alone and has nothing that lets anybody in."""
    path = tmp_path / 'tokens.yaml'
    token, entry = made(capsys, path, *ANNA)
    assert re.fullmatch(r'gwt_[A-Za-z0-9_-]{43}', token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    assert (entry.credential.name, entry.credential.role) == ('anna', Role.OPERATOR)
    assert entry.credential.scope.is_everything
    assert entry.expires_at is None
    assert [each.name for each in tmp_path.iterdir()] == ['tokens.yaml']


def test_an_entry_may_be_narrowed_and_run_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When it was made is noted with that: a clock before then is wrong."""
    globs = ['--entities', 'apps/arm_*', '*', '--scripts', 'check', '--tags', 'daily']
    _token, entry = made(capsys, tmp_path / 'file', *ANNA, *globs, '--expires-in', '30d')
    assert entry.credential.scope == Scope(
        entities=('apps/arm_*', '*'), scripts=('check',), tags=('daily',)
    )
    assert entry.created_at is not None
    assert entry.expires_at is not None
    assert entry.expires_at - entry.created_at == datetime.timedelta(days=30)


@pytest.mark.parametrize(
    'before',
    [
        'tokens: []\n',
        f'tokens: [{{name: bert, role: viewer, sha256: "{SHA}"}}]',
        f'# ours\ntokens:\n- name: bert  # at night\n  role: viewer\n  sha256: "{SHA}"\n',
        f'tokens:\n    -   name: bert\n        role: viewer\n        sha256: "{SHA}"',
    ],
)
def test_what_a_file_says_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    """As it is written, where it is written line by line."""
    path = tmp_path / 'file'
    path.write_text(before)
    path.chmod(0o600)
    earlier = said_by(path)
    made(capsys, path, *ANNA)
    assert said_by(path).by_name.keys() == {*earlier.by_name, 'anna'}
    if '\n ' in before:
        assert path.read_text().startswith(before)


@pytest.mark.parametrize(
    ('content', 'mode', 'told'),
    [
        (
            f'tokens: [{{name: anna, role: viewer, sha256: "{SHA}"}}]',
            0o600,
            'is that of tokens[0]',
        ),
        ('tokens: [1]', 0o600, 'tokens[0] is 1; allowed: a mapping'),
        ('tokens: []', 0o644, 'has mode -rw-r--r--; allowed'),
    ],
)
def test_a_file_that_could_not_be_used_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, mode: int, told: str
) -> None:
    """One line says why; no token is shown that would let nobody in."""
    path = tmp_path / 'file'
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SystemExit) as ended:
        main([*ANNA, '--file', str(path)])
    assert str(ended.value.code).startswith(f'gateway_token: {path} ')
    assert told in str(ended.value.code)
    assert capsys.readouterr().out == ''
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_the_file_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it leads to is what changes."""
    path, link = tmp_path / 'file', tmp_path / 'link'
    made(capsys, path, *ANNA)
    link.symlink_to(path)
    main(['--name', 'bert', '--role', 'viewer', '--file', str(link)])
    assert link.is_symlink()
    assert said_by(path).by_name.keys() == {'anna', 'bert'}


def test_what_is_shown_is_on_the_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content of the file, and then that it has this name: a token is shown once."""
    synchronised: list[tuple[bool, bool]] = []
    path = tmp_path / 'file'

    def note(descriptor: int) -> None:
        assert capsys.readouterr().out == ''
        synchronised.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, 'fsync', note)
    made(capsys, path, *ANNA)
    assert synchronised == [(False, False), (True, True)]


def test_two_at_a_time_lose_no_entry(tmp_path: Path) -> None:
    """One waits for the other; a folder that is not there is told."""
    path = tmp_path / 'file'
    names = [f'name{number}' for number in range(20)]

    def make(name: str) -> None:
        main(['--name', name, '--role', 'viewer', '--file', str(path)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, names))
    assert said_by(path).by_name.keys() == set(names)
    with pytest.raises(SystemExit, match='No such file or directory'):
        main([*ANNA, '--file', str(tmp_path / 'absent' / 'file')])


def test_without_a_file_the_entry_is_told_beside_the_token(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The token alone is on stdout."""
    main([*ANNA, '--tags', 'a'])
    told = capsys.readouterr()
    path = tmp_path / 'file'
    path.write_text(f'tokens:\n{told.err}')
    path.chmod(0o600)
    (entry,) = said_by(path).by_name.values()
    assert entry.digest == digest_of(told.out.strip())
    assert told.out.strip() not in told.err


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['--name', 'anna'],
        ['--name', 'an na', '--role', 'viewer'],
        ['--name', 'anna', '--role', 'root'],
        [*ANNA, '--expires-in', '0d'],
        [*ANNA, '--expires-in', '3 weeks'],
        [*ANNA, '--entities', 'arm_1'],
    ],
)
def test_a_wrong_argument_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And no token is made."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert capsys.readouterr().out == ''


def test_the_commands_of_the_docs_make_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand there, but for the file."""
    page = (Path(__file__).parents[2] / 'docs' / 'operating.md').read_text(encoding='utf-8')
    path = tmp_path / 'tokens.yaml'
    commands = re.findall(r'ros2 run gateway_node gateway_token ((?:.*\\\n)*.*)', page)
    assert len(commands) == 2
    for command in commands:
        arguments = shlex.split(command.replace('\\\n', ' '))
        main([str(path) if each.startswith('/etc/') else each for each in arguments])
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert said_by(path).by_name.keys() == {'anna', 'night-shift'}
