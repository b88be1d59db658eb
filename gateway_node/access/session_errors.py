# SPDX-License-Identifier: Apache-2.0
"""Why a client gets no token (RFC 6749, section 5.2)."""

from collections.abc import Sequence
from typing import ClassVar

from gateway_node.executions.actors import Role
from gateway_node.strict_json import shown


class TokenRequestInvalid(Exception):
    """A request for a token lacks something, or says something twice (`invalid_request`)."""


class GrantTypeUnsupported(Exception):
    """A token is asked for in a way that is not offered here (`unsupported_grant_type`)."""

    def __init__(self, grant_type: str, allowed: Sequence[str]) -> None:
        super().__init__(f'grant_type is {shown(grant_type)}; allowed: {", ".join(allowed)}')
        self.grant_type = grant_type


class ClientUnknown(Exception):
    """The id or the secret of a client is wrong, or it is let in no more (`invalid_client`)."""

    headers: ClassVar[dict[str, str]] = {'WWW-Authenticate': 'Basic realm="gateway_node"'}
    """RFC 6749, section 5.2."""

    def __init__(self) -> None:
        super().__init__('client_id or client_secret is wrong, or the client is let in no more')


class GrantInvalid(Exception):
    """A refresh token is not to be taken: wrong, used, expired or revoked (`invalid_grant`)."""


class RoleNotGranted(Exception):
    """More is asked for than the client may do (`invalid_scope`)."""

    def __init__(self, scope: str, granted: Role) -> None:
        allowed = ', '.join(role.value for role in Role if granted.includes(role))
        super().__init__(f'scope is {shown(scope)}; allowed: one of {allowed}')
        self.scope = scope


class NoClients(Exception):
    """No client can ask for a token here: none are configured."""

    def __init__(self) -> None:
        super().__init__('no clients are configured here (auth.tokens_file)')
