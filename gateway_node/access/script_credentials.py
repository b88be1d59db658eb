# SPDX-License-Identifier: Apache-2.0
"""What scripts show to the API: a token for each execution, as long as its script may run."""

import secrets

from gateway_node.access.credentials import Credential
from gateway_node.access.token_file import digest_of
from gateway_node.executions.values import Execution

PREFIX = 'gwx_'
_TOKEN_BYTES = 32


class ScriptCredentials:
    """Issues and revokes them; a source of credentials, in the memory of this gateway alone."""

    def __init__(self, *, is_on: bool) -> None:
        """Not `is_on` where nobody needs a credential: then it issues none."""
        self._is_on = is_on
        self._credentials: dict[bytes, Credential] = {}
        self._digests: dict[str, bytes] = {}
        """By execution."""

    def issue(self, execution: Execution) -> str | None:
        """Return a token with the rights of who started an execution, until `revoke`.

        None where none is needed; also where nobody had to say who they were when it was started,
        as before there were any credentials.
        """
        rights = execution.rights
        if not self._is_on or rights is None:
            return None
        token = f'{PREFIX}{secrets.token_urlsafe(_TOKEN_BYTES)}'
        digest = self._digests[execution.id] = digest_of(token)
        self._credentials[digest] = Credential(
            name=rights.name,
            role=rights.role,
            scope=rights.scope,
            execution=execution.id,
            client_id=rights.client_id,
        )
        return token

    def revoke(self, execution_id: str) -> None:
        """Let the token of an execution be good no more; harmless where there is none."""
        digest = self._digests.pop(execution_id, None)
        if digest is not None:
            del self._credentials[digest]

    def credential_of(self, token: str) -> Credential | None:
        """Return what a token stands for; None where it is none of these, or no more."""
        return self._credentials.get(digest_of(token)) if token.startswith(PREFIX) else None
