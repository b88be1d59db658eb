# SPDX-License-Identifier: Apache-2.0
"""What the address of a client tells. Pure."""

from functools import lru_cache
import ipaddress

_IPV6_PREFIX = 64
"""Who has one address of IPv6 has all of such a network."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=64)  # one client comes again and again
def is_loopback(client: str) -> bool:
    """Tell whether a client is on this host."""
    address = _address(client)
    return address is not None and address.is_loopback


@lru_cache(maxsize=256)
def network_of(client: str) -> str:
    """Return what stands for all addresses that a client may take, as it likes.

    An address of IPv4, and what is no address, stands for itself.
    """
    address = _address(client)
    if address is None:
        return client
    if address.version == 4 or address.is_loopback:
        return str(address)
    return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition('%')[0])
    except ValueError:
        return None
    mapped = getattr(address, 'ipv4_mapped', None)
    return mapped or address
