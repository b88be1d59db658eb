# SPDX-License-Identifier: Apache-2.0
"""The room of access, made of what it needs."""

from dataclasses import dataclass

from gateway_node.access.authentication import Authentication
from gateway_node.ros.configuration import Configuration


@dataclass(frozen=True, kw_only=True)
class AccessRoom:
    """Who may do what."""

    authentication: Authentication


def access_room(configuration: Configuration) -> AccessRoom:
    """Assemble it."""
    auth = configuration.auth
    return AccessRoom(
        authentication=Authentication(allow_anonymous_access=auth.allow_anonymous_access)
    )
