# SPDX-License-Identifier: Apache-2.0
"""Who the tests act as."""

from collections.abc import Mapping

from gateway_node.access.credentials import Credential
from gateway_node.access.token_file import digest_of
from gateway_node.executions.actors import Actor, Role

CLIENT = Actor(name=None, role=Role.ADMIN, origin='192.0.2.7')


class KnownTokens:
    """A source of credentials that knows some tokens."""

    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        self.credentials = dict(credentials)

    def credential_of(self, token: str) -> Credential | None:
        """Return what a token stands for."""
        return self.credentials.get(token)

    def credential_of_digest(self, digest: bytes) -> Credential | None:
        """Return the same, of a token whose SHA-256 is known alone."""
        by_digest = {digest_of(token): each for token, each in self.credentials.items()}
        return by_digest.get(digest)


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {'Authorization': f'Bearer {token}'}
