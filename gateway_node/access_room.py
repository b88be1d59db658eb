# SPDX-License-Identifier: Apache-2.0
"""The room of access, made of what it needs."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway_node.access.audit_trail import AuditTrail
from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import CredentialSource
from gateway_node.access.exposure import Exposure
from gateway_node.access.failures import Failures
from gateway_node.access.known_tokens import KnownTokens
from gateway_node.access.rates import Rates, RateSettings
from gateway_node.access.script_credentials import ScriptCredentials
from gateway_node.access.sessions import Sessions
from gateway_node.access.token_file import parse_tokens
from gateway_node.access.watched_file import WatchedFile
from gateway_node.clock import Clock
from gateway_node.ros.access_configuration import JwtConfiguration
from gateway_node.ros.configuration import Configuration
from gateway_node.start_files import FileSilent
from gateway_node.storage.audit_files import AuditFiles, FOLDER
from gateway_node.storage.state_key import StateKey

_Content = TypeVar('_Content')


@dataclass(frozen=True, kw_only=True)
class AccessRoom:
    """Who may do what."""

    authentication: Authentication
    rates: Rates
    script_credentials: ScriptCredentials
    sessions: Sessions | None
    """None where there is no tokens file."""
    exposure: Exposure
    files: tuple[WatchedFile[Any], ...]
    """What says who is let in, read anew whenever it changes."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""
        of_files = (warning for file in self.files for warning in file.warnings)
        return (*self.exposure.warnings, *of_files)

    async def keep_looking(self) -> None:
        """Look at the files again and again."""
        await asyncio.gather(*(file.keep_looking() for file in self.files))

    async def read_anew(self) -> None:
        """Read the files, whether they look changed or not."""
        await asyncio.gather(*(file.read_anew() for file in self.files))


async def access_room(configuration: Configuration, clock: Clock) -> AccessRoom:
    """Assemble it; FileInvalid, FileSilent."""
    auth, rates = configuration.auth, configuration.rate_limit
    failures = Failures(clock.monotonic)
    files: list[WatchedFile[Any]] = []
    sources: list[CredentialSource] = []
    sessions = None
    if auth.tokens_file is not None:
        file = WatchedFile('auth.tokens_file', auth.tokens_file, parse_tokens)
        await _open(file, 'auth.tokens_file', auth.tokens_file)
        files.append(file)
        tokens = KnownTokens(file, clock)
        sources.append(tokens)
        sessions = Sessions(
            tokens,
            failures,
            clock,
            access_sec=auth.token_expiry_sec,
            refresh_sec=auth.refresh_token_expiry_sec,
        )
    if auth.jwt is not None:
        keys, jwts = await _jwts(auth.jwt, clock)
        files.append(keys)
        sources.append(jwts)
    script_credentials = ScriptCredentials(is_on=bool(sources))
    made_here: list[CredentialSource] = [script_credentials]
    if sessions is not None:
        made_here.append(sessions)
    authentication = Authentication(
        sources,
        made_here=made_here,
        failures=failures,
        allow_anonymous_access=auth.allow_anonymous_access,
    )
    for file in files:
        file.on_change(authentication.tell_change)
    if sessions is not None:
        sessions.on_end(authentication.tell_change)
    return AccessRoom(
        authentication=authentication,
        exposure=Exposure(
            authentication,
            has_proxies=bool(configuration.server.trusted_proxies),
            is_wanted=auth.allow_anonymous_access,
        ),
        rates=Rates(
            RateSettings(requests_per_sec=rates.requests_per_sec, burst=rates.burst),
            clock.monotonic,
        ),
        script_credentials=script_credentials,
        sessions=sessions,
        files=tuple(files),
    )


async def _jwts(
    configured: JwtConfiguration, clock: Clock
) -> tuple[WatchedFile[Any], CredentialSource]:
    """Return the file of the keys, open, and what takes the tokens that were signed with them."""
    # They import PyJWT and cryptography, for which no other gateway has to wait.
    from gateway_node.access.jwt_claims import ClaimNames
    from gateway_node.access.jwt_credentials import JwtCredentials, JwtRules
    from gateway_node.access.jwt_keys import parse_keys

    file = WatchedFile('auth.jwt.keys_file', configured.keys_file, parse_keys)
    await _open(file, 'auth.jwt.keys_file', configured.keys_file)
    rules = JwtRules(
        issuer=configured.issuer,
        audience=configured.audience,
        leeway_sec=configured.leeway_sec,
        names=ClaimNames(
            name=configured.name_claim,
            role=configured.role_claim,
            entities=configured.entities_claim,
            scripts=configured.scripts_claim,
            tags=configured.tags_claim,
        ),
    )
    return file, JwtCredentials(lambda: file.content, rules, clock)


async def _open(file: WatchedFile[_Content], parameter: str, path: Path) -> None:
    try:
        await file.open()
    except TimeoutError as error:
        raise FileSilent(parameter, path) from error


def audit_trail(
    configuration: Configuration, state_key: StateKey, clock: Clock
) -> AuditTrail | None:
    """Return what notes requests; None where nothing does."""
    audit = configuration.audit
    if not audit.enabled:
        return None
    files = AuditFiles(
        configuration.state_dir / FOLDER,
        clock,
        max_file_bytes=int(audit.max_file_mb * 1024 * 1024),
        max_files=audit.max_files,
        synced=audit.required,
    )
    key = state_key.derived_key(b'parameters in the audit')
    return AuditTrail(files, clock, key=key, required=audit.required)
