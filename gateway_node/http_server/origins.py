# SPDX-License-Identifier: Apache-2.0
"""Which hosts are this gateway's, and which pages its own: what keeps a browser's other pages out.

A page elsewhere can have a name of its own resolved to this machine (DNS rebinding), but not an
address: any address is ours, a name only where it is known. Pure functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
import ipaddress
import re

_AUTHORITY = re.compile(
    r'(?P<host>\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._-]+)(:(?P<port>[0-9]{0,5}))?', re.ASCII
)
_MAX_PORT = 65535
_DEFAULT_PORTS = {'http': 80, 'https': 443}
_FOREIGN_SITES = frozenset({'cross-site', 'same-site'})


@dataclass(frozen=True, kw_only=True)
class Authority:
    """The host, and the port, that a client says it speaks to."""

    host: str
    """Lower case, without a trailing dot or brackets."""
    port: int | None
    """None where it is the scheme's own."""
    is_address: bool


@lru_cache(maxsize=64)  # one client says the same with every request
def parse_authority(text: str) -> Authority | None:
    """Read `host`, `host:port` or `[address]:port` (RFC 9110, section 7.2); None where it is none.

    User information is no part of it, and an IPv4 address has four decimal numbers.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    port = int(found['port']) if found['port'] else None
    if port is not None and port > _MAX_PORT:
        return None
    host = _normal(found['host'])
    address = _address(host)
    if address is not None:
        return Authority(host=address, port=port, is_address=True)
    if not host or host.startswith('['):
        return None
    return Authority(host=host, port=port, is_address=False)


def target_authority(method: str, target: str) -> str | None:
    """Return the authority in a request's target, which goes before `Host`; None without one.

    RFC 9112, section 3.2: `http://robot/health`, or `robot:80` of CONNECT.
    """
    if method == 'CONNECT':
        return target
    scheme, separator, rest = target.partition('://')
    if not separator or '/' in scheme:
        return None
    return re.split(r'[/?#]', rest, maxsplit=1)[0]


def own_names(host_names: Iterable[str], allowed: Iterable[str]) -> frozenset[str]:
    """Return the names that are ours: those of the host, in short and with `.local`, and others.

    `host_names` are what the host calls itself, with its domain or without.
    """
    names = {'localhost', *map(_normal, allowed)}
    for name in map(_normal, host_names):
        short = name.partition('.')[0]
        names |= {name, short, f'{short}.local'}
    return frozenset(names)


def is_own_host(authority: Authority, names: frozenset[str]) -> bool:
    """Tell whether a host is ours: any address, and the names that are known."""
    return authority.is_address or authority.host in names


def is_own_origin(origin: str, authority: Authority, *, over_tls: bool = False) -> bool:
    """Tell whether an `Origin` (RFC 6454) is that of the host and port that the request is for.

    Another address is another origin, as is another port of this host. The scheme may be https
    although the request came by http: a proxy in front ends TLS. Where it came `over_tls` no page
    of http is ours: whoever stands in between could have made it.
    """
    scheme, separator, rest = origin.partition('://')
    there = parse_authority(rest) if separator else None
    if there is None or scheme not in _DEFAULT_PORTS or (over_tls and scheme != 'https'):
        return False

    def port(of: Authority) -> int:
        return _DEFAULT_PORTS[scheme] if of.port is None else of.port

    return (there.host, port(there)) == (authority.host, port(authority))


def is_foreign_site(fetch_site: str) -> bool:
    """Tell whether `Sec-Fetch-Site` (Fetch Metadata, section 2.3) says that the page is foreign.

    A page of the same site is one of another port or of a sister name. In a list one counts.
    """
    return any(site.strip().lower() in _FOREIGN_SITES for site in fetch_site.split(','))


def _normal(host: str) -> str:
    return host.lower().removesuffix('.')


def _address(host: str) -> str | None:
    try:
        if host.startswith('['):
            return str(ipaddress.IPv6Address(host[1:-1]))
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        return None
