# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that is the way to the server; knows nothing of rclpy."""

from collections.abc import Iterable
from dataclasses import dataclass
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from gateway_node.ros.errors import ParameterInvalid

_DEFAULT_PORTS = {'http': 80, 'https': 443}


@dataclass(frozen=True, kw_only=True)
class TlsConfiguration:
    """What TLS is spoken with; every path is absolute."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None
    """None where clients show no certificate."""


@dataclass(frozen=True, kw_only=True)
class CorsConfiguration:
    """What pages of other origins may do."""

    allowed_origins: tuple[str, ...]
    """As browsers write them."""


def tls_configuration(
    certificate_file: Path | None, key_file: Path | None, client_ca_file: Path | None
) -> TlsConfiguration | None:
    """Make it of the values of its parameters; None where there are none; ParameterInvalid."""
    if certificate_file is None and key_file is None and client_ca_file is None:
        return None
    if certificate_file is None or key_file is None:
        missing = 'certificate_file' if certificate_file is None else 'key_file'
        allowed = 'a path, as another parameter of server.tls is set'
        raise ParameterInvalid(f'server.tls.{missing}', '', allowed)
    return TlsConfiguration(
        certificate_file=certificate_file, key_file=key_file, client_ca_file=client_ca_file
    )


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
