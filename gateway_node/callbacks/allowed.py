# SPDX-License-Identifier: Apache-2.0
"""Where callbacks may go: what the entries of `callbacks.allowed` say of names and addresses."""

from collections.abc import Iterable
from dataclasses import dataclass
import ipaddress
import re

from gateway_node.callbacks.errors import EntryInvalid
from gateway_node.callbacks.special_addresses import (
    Address,
    is_public,
    reached_by,
    stands_for_ipv4,
)
from gateway_node.executions.errors import CallbackRefused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_CHARACTERS = 2048
_PORTS = {'http': 80, 'https': 443}
_LABEL = r'[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
# The last label is no number in any base: what parses as an address in any library is one.
_NAME = rf'(?:{_LABEL}\.)*(?![0-9]+(?![^:/?])|0[xX][0-9A-Fa-f]*(?![^:/?])){_LABEL}'
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
# Compiled when they are needed: few robots have callbacks.
_URL = (
    rf'(?P<scheme>https?)://(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<ipv4>[0-9.]+)|(?P<name>{_NAME}))'
    rf'(?::(?P<port>[0-9]{{1,5}}))?(?:/{_CHARACTER}*)?(?:\?(?:{_CHARACTER}|\?)*)?'
)
_ENTRY = (
    rf'(?:\[(?P<ipv6>[0-9A-Fa-f:./]+)\]|(?P<ipv4>[0-9./]+)|(?P<name>(?:\*\.)?{_NAME}))'
    r'(?::(?P<port>[0-9]{1,5}))?'
)
_BARE_IPV6 = r'[0-9A-Fa-f./]*:[0-9A-Fa-f./]*:[0-9A-Fa-f:./]*'
_LOOPBACK: tuple[Network, ...] = (
    ipaddress.IPv4Network('127.0.0.0/8'),
    ipaddress.IPv6Network('::1/128'),
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of `callbacks.allowed`."""

    name: str | None = None
    """Lower case; `*.fleet.example` is each name below that one. None for networks alone."""
    networks: tuple[Network, ...] = ()
    """An address alone is a network of one; `localhost` is the loopback networks too."""
    port: int | None = None
    """None for any."""

    def names(self, host: str, port: int) -> bool:
        """Tell whether it names a host, in lower case."""
        if self.name is None or self.port not in (None, port):
            return False
        if self.name.startswith('*.'):
            return host.endswith(self.name[1:])
        return host == self.name

    def contains(self, address: Address, port: int) -> bool:
        """Tell whether it contains an address."""
        return self.port in (None, port) and any(address in each for each in self.networks)


def entry_of(text: str) -> Entry:
    """Read an entry: a name, `*.domain`, an address or a network, each with `:port` behind it or
    without; EntryInvalid."""
    match = re.fullmatch(_ENTRY, f'[{text}]' if re.fullmatch(_BARE_IPV6, text) else text)
    if match is None:
        raise EntryInvalid(text)
    port = _port(match['port'])
    if port == 0 or len(text) > MAX_URL_CHARACTERS:
        raise EntryInvalid(text)
    if match['name'] is not None:
        name = match['name'].lower()
        return Entry(name=name, networks=_LOOPBACK if name == 'localhost' else (), port=port)
    try:
        network = ipaddress.ip_network(match['ipv6'] or match['ipv4'])
    except ValueError as error:
        raise EntryInvalid(text) from error
    if stands_for_ipv4(network) or (match['ipv6'] is not None) is not (network.version == 6):
        raise EntryInvalid(text)
    return Entry(networks=(network,), port=port)


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a URL leads."""

    host: str
    """In lower case; an address without brackets."""
    port: int
    address: Address | None
    """None where the host is a name."""


def destination_of(url: str) -> Destination:
    """Take a URL apart; CallbackRefused where it is none to which a callback can go."""
    # A megabyte takes a second to match, in which nobody is answered.
    short = len(url) <= MAX_URL_CHARACTERS
    match = re.fullmatch(_URL, url, re.IGNORECASE | re.ASCII) if short else None
    port = 0 if match is None else _port(match['port'], _PORTS[match['scheme'].lower()])
    if match is None or not port:
        raise _no_url(url)
    if match['name'] is not None:
        return Destination(host=match['name'].lower(), port=port, address=None)
    host = match['ipv6'] or match['ipv4']
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise _no_url(url) from error
    if (match['ipv6'] is not None) is not (address.version == 6):
        raise _no_url(url)
    return Destination(host=host.lower(), port=port, address=reached_by(address))


class AllowedDestinations:
    """Decides where callbacks may go: names and public addresses where an entry says so, and other
    addresses only where an entry contains them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)

    def check(self, url: str) -> None:
        """Return where a callback may go there, as far as the URL tells; CallbackRefused."""
        destination = destination_of(url)
        host, port, address = destination.host, destination.port, destination.address
        if address is None:
            allowed = any(each.names(host, port) for each in self._entries)
        else:
            allowed = any(each.contains(address, port) for each in self._entries)
        if not allowed:
            raise CallbackRefused(
                url, f'port {port} of {host} is in no entry of the parameter callbacks.allowed'
            )

    def permits(self, address: Address, port: int) -> bool:
        """Tell whether a connection to an address may be made to which an allowed name leads."""
        reached = reached_by(address)
        return is_public(reached) or any(each.contains(reached, port) for each in self._entries)


def _port(text: str | None, default: int | None = None) -> int | None:
    """Return a port; 0 where there is no such."""
    if text is None:
        return default
    port = int(text)
    return port if port <= 65535 else 0


def _no_url(url: str) -> CallbackRefused:
    return CallbackRefused(
        url,
        'allowed: an http or https URL in ASCII, such as https://fleet.example/ended, without '
        f'user and fragment, of at most {MAX_URL_CHARACTERS} characters',
    )
