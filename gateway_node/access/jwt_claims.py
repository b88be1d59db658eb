# SPDX-License-Identifier: Apache-2.0
"""What a token claims about who bears it, as a credential. Pure.

The claims come from a token whose signature was found to be right, and nothing else of them is
believed: what is not as it has to be is refused, never left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialUnfit
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope
from gateway_node.strict_json import shown

MAX_NAME_CHARACTERS = 128
MAX_GLOBS = 64
MAX_GLOB_CHARACTERS = 256

_ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, kw_only=True)
class ClaimNames:
    """Which claim says what; a name with dots may lead into objects: `realm_access.roles`."""

    name: str
    role: str
    entities: str
    scripts: str
    tags: str


def credential_from(claims: Mapping[str, Any], names: ClaimNames) -> Credential:
    """Return who bears a token; CredentialUnfit."""
    return Credential(
        name=_name(claims, names.name),
        role=_role(claims, names.role),
        scope=Scope(
            entities=_globs(claims, names.entities),
            scripts=_globs(claims, names.scripts),
            tags=_globs(claims, names.tags),
        ),
    )


def _name(claims: Mapping[str, Any], claim: str) -> str:
    name = _found(claims, claim)
    if (
        isinstance(name, str)
        and 1 <= len(name) <= MAX_NAME_CHARACTERS
        and name.isprintable()
        and name == name.strip()
    ):
        return name
    raise _refused(
        claim, name, f'a text of 1 to {MAX_NAME_CHARACTERS} printable characters, no space around'
    )


def _role(claims: Mapping[str, Any], claim: str) -> Role:
    """Return the role; of several the highest, for issuers list what is not the gateway's too."""
    value = _found(claims, claim)
    listed = value if isinstance(value, list) else [value]
    roles = [_ROLES[each] for each in listed if isinstance(each, str) and each in _ROLES]
    if not roles:
        raise _refused(claim, value, f'one of {", ".join(_ROLES)}, or an array with one of them')
    highest = roles[0]
    for role in roles:
        highest = role if role.includes(highest) else highest
    return highest


def _globs(claims: Mapping[str, Any], claim: str) -> tuple[str, ...] | None:
    """Return what narrows a token; None, for no bound, where the claim is not there."""
    value = _found(claims, claim, missing=_NOT_THERE)
    if value is _NOT_THERE:
        return None
    globs = [value] if isinstance(value, str) else value
    if isinstance(globs, list) and len(globs) <= MAX_GLOBS and all(map(_is_glob, globs)):
        return tuple(globs)
    raise _refused(
        claim,
        value,
        f'a glob, or an array of at most {MAX_GLOBS}, each of 1 to {MAX_GLOB_CHARACTERS} '
        'characters',
    )


def _is_glob(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_GLOB_CHARACTERS


_NOT_THERE = object()


def _found(claims: Mapping[str, Any], path: str, missing: object = None) -> Any:
    """Return a claim of that name, dots included, or else what its parts lead to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split('.'):
        if not isinstance(found, Mapping) or part not in found:
            return missing
        found = found[part]
    return found


def _refused(claim: str, value: object, allowed: str) -> CredentialUnfit:
    return CredentialUnfit(
        f'the claim {claim!r} of the token is {shown(value)}; allowed: {allowed}'
    )
