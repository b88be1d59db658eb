# SPDX-License-Identifier: Apache-2.0
"""Who bears a token of the tokens file."""

import hmac

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired
from gateway_node.access.token_file import digest_of, Token, Tokens
from gateway_node.access.watched_file import WatchedFile
from gateway_node.clock import Clock, rfc3339


class KnownTokens:
    """The tokens that the file has now; a source of credentials."""

    def __init__(self, file: WatchedFile[Tokens], clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def credential_of(self, token: str) -> Credential | None:
        """Return what a token stands for; None where the file has it not, or no more.

        CredentialExpired where it ran out, or nobody can tell whether it did.
        """
        return self.credential_of_digest(digest_of(token))

    def credential_of_digest(self, digest: bytes) -> Credential | None:
        """Return the same, of a token whose SHA-256 is known alone."""
        # Found by what nobody can choose, so that no time that it takes helps to guess a token.
        known = self._file.content.by_digest.get(digest)
        if known is None or not hmac.compare_digest(known.digest, digest):
            return None
        self._check_time(known)
        return known.credential

    def named(self, name: str) -> Token | None:
        """Return the entry of a name."""
        return self._file.content.by_name.get(name)

    def _check_time(self, token: Token) -> None:
        if token.expires_at is None:
            return
        now = self._clock.now()
        if now >= token.expires_at:
            raise CredentialExpired(f'the token ran out at {rfc3339(token.expires_at)}')
        if token.created_at is not None and now < token.created_at:
            raise CredentialExpired(
                f'the clock of this host says {rfc3339(now)}, which is before the token was made: '
                'whether it has run out cannot be told'
            )
