# SPDX-License-Identifier: Apache-2.0
"""Ports for gateways whose port has to be known before they listen, or that return to theirs."""

import contextlib
import itertools
import os
import socket

_FIRST, _BEYOND = 10_000, 32_768
"""Below what Linux gives by itself, to who binds port 0 or connects (man 7 ip)."""


def _ports() -> itertools.chain[int]:
    """Go through the ports of this test process, which no other one of the session has."""
    processes = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    process = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    session = os.getppid() if processes > 1 else os.getpid()
    ours = range(_FIRST + process, _BEYOND, processes)
    begin = 7 * session % len(ours)
    return itertools.chain(ours[begin:], ours[:begin])


_PORTS = _ports()


def free_port() -> int:
    """Return a port that nobody has, and that nobody gets as long as its user is away.

    One that the kernel picked would be its to give again: to another test's server, as soon as
    nobody listens there.
    """
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(('127.0.0.1', port)):
            return port
    raise AssertionError('no port is free')
