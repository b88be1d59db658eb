# SPDX-License-Identifier: Apache-2.0
"""What this host is called, as far as it can be asked."""

import asyncio
import logging
import socket

from gateway_node.threads import Threads

_log = logging.getLogger(__name__)

RESOLVER_SEC = 2.0
"""Seconds that a start waits for the resolver."""


async def host_names() -> tuple[str, ...]:
    """Return the host's name, and its name with the domain where the resolver tells it in time."""
    name = socket.gethostname()
    try:
        async with asyncio.timeout(RESOLVER_SEC):
            return name, await Threads('resolver', 1).run(socket.getfqdn)
    except TimeoutError:
        _log.warning('the resolver does not tell the full name of this host in time')
        return (name,)
