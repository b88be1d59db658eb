# SPDX-License-Identifier: Apache-2.0
"""Whether strangers reach a gateway that asks nobody who they are."""

from collections.abc import Iterable
import logging

from gateway_node.access.authentication import Authentication
from gateway_node.access.client_addresses import is_loopback
from gateway_node.access.errors import AnonymousAccessUnwanted

_log = logging.getLogger(__name__)


class Exposure:
    """Refuses that, unless it is wanted in so many words, and then warns."""

    def __init__(
        self, authentication: Authentication, *, has_proxies: bool, is_wanted: bool
    ) -> None:
        """`has_proxies` where there are any that are trusted: they bring clients from anywhere."""
        self._is_open = not authentication.is_on
        self._has_proxies = has_proxies
        self._is_wanted = is_wanted
        self.warnings: tuple[str, ...] = ()
        """What is to be told of it, a sentence each."""

    def check(self, addresses: Iterable[str]) -> None:
        """Return where a gateway may listen on these; AnonymousAccessUnwanted."""
        if not self._is_open:
            return
        elsewhere = [address for address in addresses if not is_loopback(address)]
        ways = [
            *([f'server.host names {", ".join(elsewhere)}'] if elsewhere else []),
            *(['there are server.trusted_proxies'] if self._has_proxies else []),
        ]
        if not ways:
            return
        if not self._is_wanted:
            raise AnonymousAccessUnwanted(ways)
        self.warnings = (
            'whoever reaches the gateway executes code as its user: no credentials are '
            f'configured, {" and ".join(ways)}, and auth.allow_anonymous_access is true',
        )
        _log.warning('%s', self.warnings[0])
