# SPDX-License-Identifier: Apache-2.0
"""Which addresses are anybody's on the internet, and which lead to somewhere nearer.

A table of its own: what `ipaddress` calls global differs between the versions of Python.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            # IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast and class E.
            '0.0.0.0/8',
            '10.0.0.0/8',
            '100.64.0.0/10',
            '127.0.0.0/8',
            '169.254.0.0/16',
            '172.16.0.0/12',
            '192.0.0.0/24',
            '192.0.2.0/24',
            '192.88.99.0/24',
            '192.168.0.0/16',
            '198.18.0.0/15',
            '198.51.100.0/24',
            '203.0.113.0/24',
            '224.0.0.0/4',
            '240.0.0.0/4',
        ),
    )
)
_GLOBAL_IPV6 = ipaddress.IPv6Network('2000::/3')
"""All that is given to anybody (RFC 4291); loopback, link-local, unique local, multicast and the
rest lie outside."""
_SPECIAL_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            # IANA IPv6 Special-Purpose Address Registry, as far as it is in 2000::/3: protocol
            # assignments with Teredo, documentation, 6to4.
            '2001::/23',
            '2001:db8::/32',
            '2002::/16',
            '3fff::/20',
        ),
    )
)
_STANDS_FOR_IPV4 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            # IPv4-mapped (RFC 4291, 2.5.5.2), and what NAT64 translates (RFC 6052, 2.1).
            '::ffff:0:0/96',
            '64:ff9b::/96',
        ),
    )
)


def reached_by(address: Address) -> Address:
    """Return the address that a connection to this one reaches: of IPv6 that stands for IPv4, that
    one."""
    if isinstance(address, ipaddress.IPv6Address) and any(
        address in network for network in _STANDS_FOR_IPV4
    ):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Tell whether an address, as `reached_by` returns it, is anybody's on the internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def stands_for_ipv4(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Tell whether all of a network stands for addresses of IPv4."""
    return isinstance(network, ipaddress.IPv6Network) and any(
        network.subnet_of(each) for each in _STANDS_FOR_IPV4
    )
