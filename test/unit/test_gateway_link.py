# SPDX-License-Identifier: Apache-2.0
"""A supervisor's end of its channel: what comes between two orders, and what is still unsaid."""

from collections.abc import Iterator
import os
import socket
import subprocess
import threading
from typing import Any

import pytest

from gateway_node.child.messages import Dismissal, EndWish, ProgressTold
from gateway_node.child.supervision.gateway_link import GatewayLink
from gateway_node.child.wire import encode, MessageBuffer

DEADLINE_SEC = 20.0
ORDER: Any = {'argv': ['/bin/true']}
STOP = EndWish(end='stop', asked_by=None)
KILL = EndWish(end='kill', asked_by=None)


@pytest.fixture
def ends() -> Iterator[tuple[GatewayLink, socket.socket]]:
    """Give a supervisor's end of a channel and its gateway's, which is this process."""
    gateway, channel = socket.socketpair()
    pidfd = os.pidfd_open(os.getpid())
    with gateway, channel:
        yield GatewayLink(channel, pidfd), gateway
    os.close(pidfd)


def test_a_wish_is_for_the_order_before_it(ends: tuple[GatewayLink, socket.socket]) -> None:
    """What comes late, with the next order right behind it, ends nothing."""
    link, gateway = ends
    gateway.sendall(encode(STOP) + encode(ORDER) + encode(KILL))
    assert link.receive_order() == ORDER
    assert link.receive() == [KILL]


def test_a_dismissal_is_no_loss(ends: tuple[GatewayLink, socket.socket]) -> None:
    """Who is dismissed has nothing to write down."""
    link, gateway = ends
    gateway.sendall(encode(STOP) + encode(Dismissal(dismissed=True)))
    assert link.receive_order() is None
    assert not link.lost


@pytest.mark.parametrize('last', [ORDER, Dismissal(dismissed=True)], ids=['order', 'dismissal'])
def test_a_gateway_that_was_killed_behind_its_last_word_had_moved_on(last: Any) -> None:
    """Neither an order nor a dismissal comes before the end of the script before is on record."""
    killed = subprocess.Popen(['/bin/true'])
    pidfd = os.pidfd_open(killed.pid)
    killed.wait()
    gateway, channel = socket.socketpair()
    with gateway, channel:
        link = GatewayLink(channel, pidfd)
        gateway.sendall(encode(last))
        assert link.receive_order() is None
        assert (link.lost, link.moved_on) == (True, True)
    os.close(pidfd)


@pytest.mark.parametrize('said', [b'', encode(ORDER)[:-1]], ids=['nothing', 'half an order'])
def test_a_channel_that_ends_without_a_word_is_a_lost_gateway(
    ends: tuple[GatewayLink, socket.socket], said: bytes
) -> None:
    """What it had begun to say is no order."""
    link, gateway = ends
    gateway.sendall(said)
    gateway.close()
    assert link.receive_order() is None
    assert (link.lost, link.moved_on) == (True, False)


def test_what_a_slow_gateway_did_not_take_is_told_while_the_next_order_is_awaited(
    ends: tuple[GatewayLink, socket.socket],
) -> None:
    """The end of a script is not lost because the gateway was stopped when it came."""
    link, gateway = ends
    gateway.settimeout(DEADLINE_SEC)
    progress = ProgressTold(event='progress', percent=None, message='x' * 60_000)
    told = 0
    while link.idle:
        link.send(progress)
        told += 1
    heard: list[Any] = []

    def read_all() -> None:
        incoming = MessageBuffer()
        try:
            while len(heard) < told:
                heard.extend(incoming.feed(gateway.recv(1024 * 1024)))
        finally:
            gateway.sendall(encode(Dismissal(dismissed=True)))

    reading = threading.Thread(target=read_all)
    reading.start()
    assert link.receive_order() is None
    reading.join()
    assert len(heard) == told
