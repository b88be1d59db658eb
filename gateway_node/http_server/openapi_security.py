# SPDX-License-Identifier: Apache-2.0
"""How an operation is asked for by who has a credential, as OpenAPI tells it."""

from dataclasses import dataclass
from typing import Any

from gateway_node.executions.actors import Role
from gateway_node.http_server.route import Route

_BEARER = 'bearer'
_CLIENT = 'client'


@dataclass(frozen=True, kw_only=True)
class Security:
    """What a gateway asks of clients: nothing where no credentials are configured."""

    is_on: bool = False
    has_clients: bool = False
    """Whether clients get tokens for a while here."""
    open_probes: bool = True

    def of(self, route: Route[Any, Any]) -> dict[str, Any]:
        """Return the members that an operation has: with one of its schemes, and the role."""
        if not self.is_on:
            return {}
        if route.lets_strangers_in(open_probes=self.open_probes):
            return {'security': []}
        return {'security': [{scheme: [route.role.value]} for scheme in self._schemes]}

    def schemes_below(self, base: str) -> dict[str, Any]:
        """Return the schemes, as the members of a document's components."""
        if not self.is_on:
            return {}
        schemes: dict[str, Any] = {
            _BEARER: {
                'type': 'http',
                'scheme': 'bearer',
                'description': 'A token of the tokens file, a JSON Web Token, or an access token.',
            },
            _CLIENT: {
                'type': 'oauth2',
                'description': 'An access token for the id and the secret of a client.',
                'flows': {
                    'clientCredentials': {
                        'tokenUrl': f'{base}/auth/token',
                        'refreshUrl': f'{base}/auth/token',
                        'scopes': {role.value: _may(role) for role in Role},
                    }
                },
            },
        }
        return {'securitySchemes': {name: schemes[name] for name in self._schemes}}

    @property
    def _schemes(self) -> tuple[str, ...]:
        return (_BEARER, _CLIENT) if self.has_clients else (_BEARER,)


def _may(role: Role) -> str:
    return f'What the role {role.value} may do.' if role is not Role.ADMIN else 'Everything.'
