# SPDX-License-Identifier: Apache-2.0
"""The one table of routes: what is served, to whom, what each takes, answers and is refused with.

Whatever needs to know the API reads it here: the application serves it, and tests hold the
documented contract and every answer to it.
"""

from typing import Any

from gateway_node.http_server.artifact_routes import ARTIFACT_ROUTES
from gateway_node.http_server.audit_routes import AUDIT_ROUTES
from gateway_node.http_server.entity_routes import ENTITY_ROUTES
from gateway_node.http_server.event_routes import EVENT_ROUTES
from gateway_node.http_server.evidence_routes import EVIDENCE_ROUTES
from gateway_node.http_server.execution_routes import EXECUTION_ROUTES
from gateway_node.http_server.gateway_routes import GATEWAY_ROUTES, UNVERSIONED
from gateway_node.http_server.instance_routes import INSTANCE_ROUTES
from gateway_node.http_server.line_routes import LINE_ROUTES
from gateway_node.http_server.lock_routes import LOCK_ROUTES
from gateway_node.http_server.route import Route
from gateway_node.http_server.script_routes import SCRIPT_ROUTES
from gateway_node.http_server.token_routes import TOKEN_ROUTES

__all__ = ['ROUTES', 'UNVERSIONED']

ROUTES: tuple[Route[Any, Any], ...] = (
    *GATEWAY_ROUTES,
    *TOKEN_ROUTES,
    *ENTITY_ROUTES,
    *SCRIPT_ROUTES,
    *INSTANCE_ROUTES,
    *EVENT_ROUTES,
    *EXECUTION_ROUTES,
    *ARTIFACT_ROUTES,
    *EVIDENCE_ROUTES,
    *LINE_ROUTES,
    *LOCK_ROUTES,
    *AUDIT_ROUTES,
)
