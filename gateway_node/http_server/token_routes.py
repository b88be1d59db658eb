# SPDX-License-Identifier: Apache-2.0
"""The routes of tokens for a while."""

from typing import Any

from gateway_node.access.session_errors import (
    ClientUnknown,
    GrantInvalid,
    GrantTypeUnsupported,
    NoClients,
    RoleNotGranted,
)
from gateway_node.http_server import tokens
from gateway_node.http_server.route import Route, VIEWER
from gateway_node.http_server.token_bodies import TokenBody

TOKEN_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'POST',
        '/auth/authorize',
        VIEWER,
        tokens.authorize_client,
        tokens.OfClient,
        body=TokenBody(tokens.TokenRequest),
        answers='IssuedTokens',
        errors=(NoClients, GrantTypeUnsupported, ClientUnknown, RoleNotGranted),
        is_open=True,
    ),
    Route(
        'POST',
        '/auth/token',
        VIEWER,
        tokens.issue_token,
        tokens.OfClient,
        body=TokenBody(tokens.TokenRequest),
        answers='IssuedTokens',
        errors=(NoClients, GrantTypeUnsupported, ClientUnknown, GrantInvalid, RoleNotGranted),
        is_open=True,
    ),
    Route(
        'POST',
        '/auth/revoke',
        VIEWER,
        tokens.revoke_token,
        tokens.OfClient,
        body=TokenBody(tokens.RevokeRequest),
        answers='Revoked',
        errors=(NoClients, ClientUnknown),
        is_open=True,
    ),
)
