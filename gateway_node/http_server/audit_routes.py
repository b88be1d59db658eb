# SPDX-License-Identifier: Apache-2.0
"""The route of the audit."""

from typing import Any

from gateway_node.access.errors import AuditTurnedOff, AuditUnavailable
from gateway_node.executions.errors import BeyondScope
from gateway_node.http_server import audit_lists
from gateway_node.http_server.route import ADMIN, Route
from gateway_node.http_server.subjects import find_all

AUDIT_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        '/audit',
        ADMIN,
        audit_lists.list_audit,
        audit_lists.OfAudit,
        finds=find_all,
        answers='AuditList',
        errors=(BeyondScope, AuditTurnedOff, AuditUnavailable),
    ),
)
