# SPDX-License-Identifier: Apache-2.0
"""The addresses that the server listens on: what `server.host` names, resolved and bound."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import errno
import os
import re
import socket

_BACKLOG = 128
_PORT_ATTEMPTS = 20
"""How many ports the kernel may pick until one is free on every address."""
_ANY_IPV4, _ANY_IPV6 = '0.0.0.0', '::'
_ABSENT = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""This machine has no such address, such as `::1` where IPv6 is off."""


class ListenFailed(Exception):
    """No address of the server can be had."""

    def __init__(self, host: str, port: int, reasons: Sequence[str]) -> None:
        super().__init__(
            f"cannot listen on server.host '{host}', server.port {port}: {'; '.join(reasons)}; "
            'allowed: names and addresses of this machine on which the port is free'
        )
        self.host = host
        self.port = port


@dataclass(frozen=True, kw_only=True)
class Address:
    """One address to listen on."""

    name: str
    """The part of `server.host` that led to it."""
    family: socket.AddressFamily
    host: str
    scope: tuple[int, ...] = ()
    """Of IPv6: flow and scope (man 7 ipv6); a link-local address needs the latter."""

    @property
    def covers_all(self) -> bool:
        """Whether it stands for every address of its family."""
        return self.host in (_ANY_IPV4, _ANY_IPV6)


@dataclass(frozen=True, kw_only=True)
class Unbound:
    """What could not be bound, and why."""

    name: str
    host: str
    errno: int
    reason: str

    def __str__(self) -> str:
        where = self.name if self.host == self.name else f'{self.name} ({self.host})'
        return f'{where}: {self.reason}'


@dataclass(frozen=True, kw_only=True)
class Listening:
    """The sockets of a server, all on one port."""

    sockets: tuple[socket.socket, ...]
    port: int
    unbound: tuple[Unbound, ...]
    """What is to be told: it was named, and nobody is answered there."""

    def urls(self, scheme: str) -> tuple[str, ...]:
        """Return the address of each socket as a URL without a path."""
        return tuple(_url(scheme, bound.getsockname()) for bound in self.sockets)


def reachable_here(urls: Sequence[str]) -> str:
    """Return the one of a server's URLs that is best for who is on this host: loopback, where it
    is served or all addresses are, else the first."""
    candidates = [
        url.replace(f'//{_ANY_IPV4}:', '//127.0.0.1:').replace(f'//[{_ANY_IPV6}]:', '//[::1]:')
        for url in urls
    ]
    loopback = (url for url in candidates if re.match(r'https?://(127\.|\[::1\]:)', url))
    return next(loopback, candidates[0])


async def listen(host: str, port: int) -> Listening:
    """Bind every address that `host` names: names and addresses, a comma between several.

    `::` stands for all addresses of both families, an IPv6 address may stand in brackets. Port 0
    takes one that is free on all of them. What cannot be bound is left out; ListenFailed where
    nothing can.
    """
    unbound: list[Unbound] = []
    wanted: list[Address] = []
    for name in host.split(','):
        try:
            wanted += await _resolve(name.strip().removeprefix('[').removesuffix(']'))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            unbound.append(Unbound(name=name.strip(), host=name.strip(), errno=0, reason=reason))
    sockets, failed = _bind_all(_without_covered(wanted), port)
    names = {address.name for address, _ in sockets}
    # A name whose other address serves it lacks nothing where the machine has no such address.
    unbound += [each for each in failed if each.errno not in _ABSENT or each.name not in names]
    if not sockets:
        raise ListenFailed(host, port, [str(each) for each in unbound])
    taken = tuple(bound for _, bound in sockets)
    return Listening(sockets=taken, port=taken[0].getsockname()[1], unbound=tuple(unbound))


async def _resolve(name: str) -> list[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
    addresses = [
        Address(name=name, family=family, host=str(where[0]), scope=tuple(where[2:]))
        for family, _, _, _, where in found
    ]
    if any(address.host == _ANY_IPV6 for address in addresses):
        # One socket of each family, not one for both: either may be off or taken.
        addresses.append(Address(name=name, family=socket.AF_INET, host=_ANY_IPV4))
    return addresses


def _without_covered(wanted: Iterable[Address]) -> list[Address]:
    """Return each address once, and none beside the one that stands for its whole family."""
    single = {(address.family, address.host, address.scope): address for address in wanted}
    covered = {address.family for address in single.values() if address.covers_all}
    return [
        address
        for address in single.values()
        if address.covers_all or address.family not in covered
    ]


_Bound = list[tuple[Address, socket.socket]]


def _bind_all(wanted: Sequence[Address], port: int) -> tuple[_Bound, list[Unbound]]:
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        bound, failed = _bind_each(wanted, port)
        clash = any(each.errno == errno.EADDRINUSE for each in failed)
        if port or not clash or attempt == _PORT_ATTEMPTS:
            break
        for _, each in bound:
            each.close()
    return bound, failed


def _bind_each(wanted: Sequence[Address], port: int) -> tuple[_Bound, list[Unbound]]:
    bound: _Bound = []
    failed: list[Unbound] = []
    for address in wanted:
        try:
            where = (address.host, port, *address.scope)
            taken = socket.create_server(where, family=address.family, backlog=_BACKLOG)
        except OSError as error:
            failed.append(
                Unbound(
                    name=address.name,
                    host=address.host,
                    errno=error.errno or 0,
                    reason=os.strerror(error.errno) if error.errno else str(error),
                )
            )
        else:
            bound.append((address, taken))
            port = taken.getsockname()[1]
    return bound, failed


def _url(scheme: str, name: tuple[str | int, ...]) -> str:
    host, port = name[:2]
    return f'{scheme}://[{host}]:{port}' if ':' in str(host) else f'{scheme}://{host}:{port}'
