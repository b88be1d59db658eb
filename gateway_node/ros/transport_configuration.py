# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that is the way to the server; knows nothing of rclpy."""

from collections.abc import Iterable
from dataclasses import dataclass
import ipaddress
from urllib.parse import urlsplit

from gateway_node.ros.errors import ParameterInvalid

_DEFAULT_PORTS = {'http': 80, 'https': 443}


@dataclass(frozen=True, kw_only=True)
class CorsConfiguration:
    """What pages of other origins may do."""

    allowed_origins: tuple[str, ...]
    """As browsers write them."""


def cors_configuration(allowed_origins: Iterable[str]) -> CorsConfiguration:
    """Make it of the values of its parameters; ParameterInvalid."""
    return CorsConfiguration(allowed_origins=tuple(map(_origin, allowed_origins)))


def _origin(text: str) -> str:
    """Return an origin as browsers write it: in lower case, without the port of its scheme."""
    try:
        parts = urlsplit(text.lower())
        host, port = parts.hostname or '', parts.port
        if ':' in host:
            host = f'[{ipaddress.IPv6Address(host)}]'
    except ValueError as error:
        allowed = 'origins with an address, and a port up to 65535 where it is not the usual one'
        raise ParameterInvalid('cors.allowed_origins', text, allowed) from error
    usual = port in (None, _DEFAULT_PORTS[parts.scheme])
    return f'{parts.scheme}://{host}' + ('' if usual else f':{port}')
