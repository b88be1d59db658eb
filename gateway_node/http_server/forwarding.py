# SPDX-License-Identifier: Apache-2.0
"""What proxies in front say of a request: where it comes from, and what they took off its path.

Only proxies that are trusted are believed; from anybody else their headers mean nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
import ipaddress
import re

from gateway_node.http_server.errors import InvalidRequest

FORWARDED_PREFIX = 'X-Forwarded-Prefix'
_PREFIX = re.compile(r'(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)*', re.ASCII)
_MAX_PREFIX_CHARACTERS = 256
_MAX_HOPS = 32
"""Proxies of a chain that are looked at."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """How a request came to the gateway."""

    client: str
    """The address of who sent it."""
    prefix: str = ''
    """What goes before every path for that client, without a slash at its end."""


class TrustedProxies:
    """The proxies that are believed."""

    def __init__(self, networks: Iterable[_Network] = ()) -> None:
        self._networks = tuple(networks)
        # A proxy's own address comes with every request.
        self._trusts = lru_cache(maxsize=64)(self._includes)

    def trusts(self, peer: str) -> bool:
        """Tell whether what comes from the address `peer` is believed."""
        return bool(self._networks) and self._trusts(peer)

    def read(
        self, peer: str, *, forwarded_for: Sequence[str], prefixes: Sequence[str]
    ) -> Forwarded:
        """Return what is to be believed of a request that came from the address `peer`.

        `forwarded_for` and `prefixes` are the values of its fields `X-Forwarded-For` and
        `X-Forwarded-Prefix`. RFC 7239's `Forwarded` is not asked for: proxies that do not write it
        pass on what a client wrote.

        InvalidRequest where a trusted proxy names a prefix that is none.
        """
        if not self.trusts(peer):
            return Forwarded(client=peer)
        return Forwarded(client=self._client(peer, forwarded_for), prefix=_prefix(prefixes))

    def _client(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Return the first address, counted from the gateway, that is no trusted proxy's.

        Each proxy puts the address that called it at the end, so that what a client wrote itself
        stands before its own. Where a proxy names no address, or all are trusted, it is the
        farthest that is known.
        """
        client = peer
        for entry in reversed(','.join(forwarded_for).split(',')[-_MAX_HOPS:]):
            address = _address(entry.strip())
            if address is None:
                break
            client = str(address)
            if not self._trusts(client):
                break
        return client

    def _includes(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in each for each in self._networks)


def _address(text: str) -> _Address | None:
    """Read an address as proxies write it: bare, or with a port, then in brackets for IPv6."""
    if text.startswith('['):
        text = text[1:].partition(']')[0]
    elif text.count(':') == 1:
        text = text.partition(':')[0]
    try:
        address = ipaddress.ip_address(text.partition('%')[0])
    except ValueError:
        return None
    mapped = getattr(address, 'ipv4_mapped', None)
    return address if mapped is None else mapped


def _prefix(named: Iterable[str]) -> str:
    text = ','.join(named)
    if len(text) <= _MAX_PREFIX_CHARACTERS and _PREFIX.fullmatch(text):
        return text
    raise InvalidRequest(
        f'{FORWARDED_PREFIX} is {text[:80]!r}; allowed: once, segments such as /robot/front '
        f'without a trailing slash, at most {_MAX_PREFIX_CHARACTERS} characters'
    )
