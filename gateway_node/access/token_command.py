# SPDX-License-Identifier: Apache-2.0
"""`gateway_token`: makes a token, shows it once, and puts its entry into a tokens file."""

import argparse
from collections.abc import Iterator, Sequence
import contextlib
import datetime
import fcntl
import json
import os
from pathlib import Path
import re
import secrets
import stat
import sys
from typing import Any

import yaml

from gateway_node.access.errors import FileInvalid
from gateway_node.access.token_file import (
    ALLOWED_NAMES,
    digest_of,
    NAME,
    parse_tokens,
    PREFIX,
)
from gateway_node.access.watched_file import FileAsRead
from gateway_node.clock import rfc3339
from gateway_node.executions.actors import Role
from gateway_node.manifest_files import ManifestInvalid, yaml_document

_TOKEN_BYTES = 32
_UNITS = {'d': 'days', 'h': 'hours', 'm': 'minutes'}
_ITEM = re.compile(rb'^( *)-', re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a token; SystemExit, one line, where that fails."""
    asked = _parser().parse_args(arguments)
    token = f'{PREFIX}{secrets.token_urlsafe(_TOKEN_BYTES)}'
    entry = _entry_of(asked, token)
    alone = f'tokens:\n{_text_of(entry)}'.encode()
    try:
        _parse(alone)
        if asked.file is None:
            sys.stderr.write(f'# for a tokens file:\n{_text_of(entry)}')
        else:
            _append(Path(os.path.realpath(asked.file)), entry, alone)
    except FileInvalid as error:
        sys.exit(f'gateway_token: {asked.file or "the entry"} {error}')
    except OSError as error:
        sys.exit(f'gateway_token: {asked.file}: {error.strerror}')
    sys.stdout.write(f'{token}\n')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='gateway_token',
        description='Makes a token that the gateway lets in (auth.tokens_file). It is shown once, '
        'on stdout; the file has its SHA-256 only.',
    )
    parser.add_argument('--name', required=True, type=_name, help='who bears it')
    parser.add_argument(
        '--role', required=True, choices=[role.value for role in Role], help='what they may do'
    )
    for option, meaning in (
        ('--entities', "narrow it to entities, as 'apps/arm_*'"),
        ('--scripts', 'narrow it to scripts, by id or name'),
        ('--tags', 'narrow it to scripts that have such a tag'),
    ):
        parser.add_argument(option, nargs='+', metavar='GLOB', help=meaning)
    parser.add_argument(
        '--expires-in', type=_duration, metavar='TIME', help='how long it is good: 30d, 12h, 45m'
    )
    parser.add_argument(
        '--file', metavar='FILE', help='the tokens file; it is made where there is none'
    )
    return parser


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f'{text!r}; allowed: {ALLOWED_NAMES}')
    return text


def _duration(text: str) -> datetime.timedelta:
    told = re.fullmatch(r'([1-9][0-9]{0,4})([dhm])', text)
    if told is None:
        raise argparse.ArgumentTypeError(f'{text!r}; allowed: such as 30d, 12h, 45m')
    return datetime.timedelta(**{_UNITS[told[2]]: int(told[1])})


def _entry_of(asked: argparse.Namespace, token: str) -> dict[str, Any]:
    entry = {'name': asked.name, 'role': asked.role, 'sha256': digest_of(token).hex()}
    if asked.expires_in is not None:
        now = datetime.datetime.now(datetime.UTC)
        entry['created_at'] = rfc3339(now)
        entry['expires_at'] = rfc3339(now + asked.expires_in)
    globs = {key: getattr(asked, key) for key in ('entities', 'scripts', 'tags')}
    return entry | {key: value for key, value in globs.items() if value is not None}


def _text_of(entry: dict[str, Any], indent: str = '') -> str:
    # JSON is YAML, and quotes what YAML would take for something else.
    lines = [f'{key}: {json.dumps(value)}' for key, value in entry.items()]
    return f'{indent}- ' + f'\n{indent}  '.join(lines) + '\n'


def _append(path: Path, entry: dict[str, Any], alone: bytes) -> None:
    """Put an entry into a file, which whoever reads it meanwhile finds before it or after.

    `alone` is the content of a file that has nothing else.

    FileInvalid where the file, or the file with the entry, cannot be used; OSError.
    """
    with _locked(path.parent) as folder:
        content, found = alone, None
        with contextlib.suppress(FileNotFoundError), open(path, 'rb') as file:
            earlier, found = file.read(), os.fstat(file.fileno())
            _parse(earlier, found.st_mode)
            content = _with(earlier, entry)
        _replace(path, content, found)
        os.fsync(folder)


def _with(content: bytes, entry: dict[str, Any]) -> bytes:
    """Return a file's content with an entry at its end: as it stands, where that is possible."""
    told = _ITEM.search(content)
    indent = told[1].decode() if told is not None else ''
    ended = content if content.endswith(b'\n') else content + b'\n'
    longer = ended + _text_of(entry, indent).encode()
    wanted = {'tokens': [*yaml_document(content)['tokens'], entry]}
    with contextlib.suppress(ManifestInvalid):
        if yaml_document(longer) == wanted:
            _parse(longer)
            return longer
    # Its list is written in one line.
    anew = yaml.safe_dump(wanted, sort_keys=False).encode()
    _parse(anew)
    return anew


def _parse(content: bytes, mode: int = stat.S_IFREG | 0o600) -> None:
    """Return where a file can be used; FileInvalid."""
    parse_tokens(FileAsRead(content=content, mode=mode))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Let no other one of these commands write a file in a folder meanwhile; give that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, earlier: os.stat_result | None) -> None:
    """Rename a new file, whose content is on the disk, over a file, with the same owner."""
    fresh = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, 'wb') as file:
            if earlier is not None and earlier.st_uid != os.geteuid():
                os.fchown(descriptor, earlier.st_uid, earlier.st_gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(fresh, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise


if __name__ == '__main__':
    main()
