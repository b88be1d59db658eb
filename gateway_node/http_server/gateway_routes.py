# SPDX-License-Identifier: Apache-2.0
"""The routes of the gateway itself."""

from typing import Any

from gateway_node.executions.errors import GatewayRecovering, StoreUnavailable
from gateway_node.http_server import gateway
from gateway_node.http_server.errors import NothingHere
from gateway_node.http_server.media_types import HTML
from gateway_node.http_server.route import Route, VIEWER
from gateway_node.http_server.subjects import Nothing

_VERSION_INFO = Route(
    'GET',
    '/version-info',
    VIEWER,
    gateway.show_version_info,
    Nothing,
    answers='VersionInfo',
    is_probe=True,
    is_open=True,
)

GATEWAY_ROUTES: tuple[Route[Any, Any], ...] = (
    Route('GET', '', VIEWER, gateway.show_root, Nothing, answers='Server'),
    _VERSION_INFO,
    Route(
        'GET', '/openapi.json', VIEWER, gateway.show_description, Nothing, answers='Description'
    ),
    Route('GET', '/health', VIEWER, gateway.show_health, Nothing, answers='Health'),
    Route(
        'GET',
        '/health/live',
        VIEWER,
        gateway.show_liveness,
        Nothing,
        answers='Probe',
        is_probe=True,
        is_open=True,
    ),
    Route(
        'GET',
        '/health/ready',
        VIEWER,
        gateway.show_readiness,
        Nothing,
        answers='Probe',
        errors=(GatewayRecovering, StoreUnavailable),
        is_probe=True,
    ),
)

UNVERSIONED: tuple[Route[Any, Any], ...] = (
    _VERSION_INFO,
    Route(
        'GET',
        '',
        VIEWER,
        gateway.lead_to_docs,
        gateway.OfBrowser,
        status=307,
        errors=(NothingHere,),
        open_as=HTML,
    ),
)
"""Served below the prefix, not below the base (SOVD)."""
