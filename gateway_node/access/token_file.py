# SPDX-License-Identifier: Apache-2.0
"""The tokens file: who is let in, as a person or `gateway_token` wrote it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import datetime
import hashlib
import re
from typing import Any, TypeVar

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import FileInvalid
from gateway_node.access.watched_file import FileAsRead
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope
from gateway_node.manifest_files import items, ManifestInvalid, mapping, text, yaml_document
from gateway_node.strict_json import shown

_Value = TypeVar('_Value')

NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}')
ALLOWED_NAMES = (
    '1 to 64 letters, digits, ".", "_", "@", "+", "-", the first of them a letter or digit'
)
PREFIX = 'gwt_'
"""What a token begins with, that `gateway_token` makes."""
_TOKEN = re.compile(PREFIX + r'[A-Za-z0-9_-]+')
_DIGEST = re.compile(r'[0-9A-Fa-f]{64}')
_KEYS = ('name', 'role', 'sha256', 'created_at', 'expires_at', 'entities', 'scripts', 'tags')
_NEEDED = ('name', 'role', 'sha256')


@dataclass(frozen=True, kw_only=True)
class Token:
    """One entry of the file."""

    digest: bytes = field(repr=False)
    """SHA-256 of the token, which itself stands nowhere."""
    credential: Credential
    created_at: datetime.datetime | None = None
    expires_at: datetime.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What the file says."""

    by_digest: Mapping[bytes, Token]
    by_name: Mapping[str, Token]


def digest_of(token: str) -> bytes:
    """Return what the file has of a token.

    A token that is 256 bits of chance needs nothing slower: nobody can try so many.
    """
    return hashlib.sha256(token.encode(errors='surrogateescape')).digest()


def parse_tokens(file: FileAsRead) -> Tokens:
    """Return what a tokens file says; FileInvalid with all that is wrong, and where."""
    file.check_private()
    faults = _Faults()
    found = faults.caught(_entries, file.content) or []
    entries = [_entry(value, f'tokens[{index}]', faults) for index, value in enumerate(found)]
    tokens = [(f'tokens[{index}]', each) for index, each in enumerate(entries) if each is not None]
    by_name = _single('name', {place: each.credential.name for place, each in tokens}, faults)
    by_digest = _single('sha256', {place: each.digest for place, each in tokens}, faults)
    if faults.told:
        raise FileInvalid(_TOKEN.sub(f'{PREFIX}…', f'cannot be used: {"; ".join(faults.told)}'))
    in_order = dict(tokens)
    return Tokens(
        by_digest={digest: in_order[place] for digest, place in by_digest.items()},
        by_name={name: in_order[place] for name, place in by_name.items()},
    )


class _Faults:
    """What is wrong with a file, a sentence each."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def caught(self, call: Callable[..., _Value], *arguments: Any) -> _Value | None:
        """Return what a call returns; None where it finds something wrong, which is noted."""
        try:
            return call(*arguments)
        except ManifestInvalid as error:
            self.told.append(str(error))
            return None


def _entries(content: bytes) -> list[Any]:
    top = mapping(yaml_document(content), 'the document', ('tokens',))
    # An empty file is one that somebody is about to write.
    if 'tokens' not in top:
        raise ManifestInvalid("the document has no 'tokens'")
    return items(top['tokens'], 'tokens')


def _entry(value: object, place: str, faults: _Faults) -> Token | None:
    if not isinstance(value, dict):
        faults.caught(mapping, value, place)
        return None
    before = len(faults.told)
    for key in value:
        faults.caught(mapping, {key: None}, place, _KEYS)
    for key in _NEEDED:
        if key not in value:
            faults.told.append(f'{place} has no {key!r}')

    def read(key: str, parse: Callable[[object, str], _Value]) -> _Value | None:
        return faults.caught(parse, value[key], f'{place}.{key}') if key in value else None

    name, role, digest = read('name', _name), read('role', _role), read('sha256', _digest)
    scope = Scope(
        entities=read('entities', _entity_globs),
        scripts=read('scripts', _globs),
        tags=read('tags', _globs),
    )
    created_at, expires_at = read('created_at', _moment), read('expires_at', _moment)
    if len(faults.told) > before or name is None or role is None or digest is None:
        return None
    return Token(
        digest=digest,
        credential=Credential(name=name, role=role, scope=scope),
        created_at=created_at,
        expires_at=expires_at,
    )


def _name(value: object, place: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: {ALLOWED_NAMES}')
    return value


def _role(value: object, place: str) -> Role:
    try:
        return Role(value)
    except ValueError as error:
        allowed = ', '.join(role.value for role in Role)
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: {allowed}') from error


def _digest(value: object, place: str) -> bytes:
    # What was put here may be the token itself.
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ManifestInvalid(f'{place} is no SHA-256; allowed: 64 hexadecimal digits, in quotes')
    return bytes.fromhex(value)


def _globs(value: object, place: str) -> tuple[str, ...]:
    return tuple(text(each, f'{place}[{index}]') for index, each in enumerate(items(value, place)))


def _entity_globs(value: object, place: str) -> tuple[str, ...]:
    globs = _globs(value, place)
    for index, glob in enumerate(globs):
        if '/' not in glob and glob.strip('*'):
            raise ManifestInvalid(
                f'{place}[{index}] is {shown(glob)}, which no entity is like; allowed: globs of '
                'paths, such as apps/arm_*'
            )
    return globs


def _moment(value: object, place: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text(value, place))
        if moment.tzinfo is not None:
            return moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise ManifestInvalid(
        f'{place} is {shown(value)}; allowed: a time with its zone, in quotes, such as '
        '"2027-01-31T12:00:00Z"'
    )


def _single(key: str, values: Mapping[str, _Value], faults: _Faults) -> dict[_Value, str]:
    """Return the place of each value; a value that is there twice is noted."""
    places: dict[_Value, str] = {}
    for place, value in values.items():
        earlier = places.setdefault(value, place)
        if earlier != place:
            said = f', {shown(value)}' if isinstance(value, str) else ''
            faults.told.append(f'{place}.{key} is that of {earlier}{said}')
    return places
