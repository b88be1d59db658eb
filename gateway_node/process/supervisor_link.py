# SPDX-License-Identifier: Apache-2.0
"""The gateway's end of one supervisor, from its fork to its exit; it may get many orders."""

import asyncio
from collections.abc import Callable, Mapping
import contextlib
import logging
import os
from typing import Any, Protocol

from gateway_node.child.messages import (
    Dismissal,
    EndWish,
    SupervisorMessage,
    SupervisorOrder,
)
from gateway_node.child.process_tree import (
    continue_if_stopped,
    has_ended,
    identify,
    ProcessEntry,
    read_entry,
)
from gateway_node.child.wire import encode, MessageBuffer, receive_packet
from gateway_node.process.spawner_connection import WaitingSupervisor
from gateway_node.process.watchdog import Watchdog

_log = logging.getLogger(__name__)


class Hearer(Protocol):
    """Who hears of the order that a supervisor has."""

    @property
    def execution_id(self) -> str:
        """Of the order."""

    def hear(self, message: SupervisorMessage) -> None:
        """Take what the supervisor says."""

    def take_descriptor(self, descriptor: int) -> None:
        """Take over a descriptor that it sends."""


class SupervisorLink:
    """One supervisor; `on_gone` is told that it has exited or is given up.

    It can be given an order where `lives` and where the end of the last one is on record.
    """

    def __init__(
        self, supervisor: WaitingSupervisor, on_gone: Callable[['SupervisorLink'], None]
    ) -> None:
        """Take over the supervisor's channel and its pidfd."""
        self.name = supervisor.name
        """The path of the folder that is its own."""
        self.pid = supervisor.pid
        self.identity = identify(supervisor.pid)
        self.tree_gone = supervisor.gone
        """Tells that all below it is gone, once it is; cancelled with its spawner."""
        self.stuck: ProcessEntry | None = None
        """The supervisor, where it counts as gone although even SIGKILL does not end it."""
        self.journalled: str | None = None
        """The execution whose end is on record and whose entry in the journal is to be replaced
        by the next one's."""
        self._on_gone = on_gone
        self._channel = supervisor.channel
        self._pidfd = supervisor.pidfd
        self._hearer: Hearer | None = None
        self._base_environment: Mapping[str, str] | None = None
        self._incoming = MessageBuffer()
        self._outgoing = bytearray()
        self._waits_for_room = False
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Tells that it has exited or is given up."""
        self._channel.setblocking(False)
        self._loop.add_reader(self._channel.fileno(), self._receive)
        self._loop.add_reader(self._pidfd, self._end)

    @property
    def is_gone(self) -> bool:
        """Whether it has exited or is given up."""
        return self.gone.done()

    @property
    def lives(self) -> bool:
        """True unless it was killed meanwhile, be that noticed or not."""
        return not self.is_gone and not has_ended(self._pidfd)

    def order(self, order: SupervisorOrder, hearer: Hearer) -> Watchdog:
        """Give it an order; return what watches that it does not hang meanwhile.

        It is told the base of the environment only where it was told another one before.
        """
        self._hearer = hearer
        base = order.get('base_environment')
        if base is not None and base == self._base_environment:
            order = order.copy()
            del order['base_environment']
        self._base_environment = base
        self.send(order)
        return Watchdog(hearer.execution_id, self._pidfd, self._channel, self._give_up)

    def release(self) -> None:
        """Take note that its order is over: nobody hears it any more."""
        self._hearer = None

    def send(self, message: SupervisorOrder | EndWish | Dismissal) -> None:
        """Send a message as soon as it is taken; nobody takes it once it is gone."""
        if self._channel.fileno() >= 0:
            self._outgoing += encode(message)
            self._push()

    def dismiss(self) -> None:
        """Let it end, without a trace: it has no order, and all its ends are on record."""
        self.send(Dismissal(dismissed=True))
        self.abandon()

    def abandon(self) -> None:
        """Let it end as one whose gateway is gone: what it told last may not be on record."""
        self._close_channel()

    def continue_if_stopped(self) -> None:
        """Continue a supervisor that a script stopped; for one that is this process's child."""
        if not self.is_gone:
            continue_if_stopped(self._pidfd)

    def _push(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._channel.send(self._outgoing)]
        except BlockingIOError:
            if not self._waits_for_room:
                self._loop.add_writer(self._channel.fileno(), self._push)
            self._waits_for_room = True
            return
        except OSError:
            self._outgoing.clear()
        self._wait_for_no_room()

    def _wait_for_no_room(self) -> None:
        if self._waits_for_room:
            self._loop.remove_writer(self._channel.fileno())
            self._waits_for_room = False

    def _receive(self) -> bool:
        """Take what the supervisor says; return False where there is no more."""
        try:
            chunk, descriptors = receive_packet(self._channel)
        except BlockingIOError:
            return False
        except OSError:
            chunk, descriptors = b'', []
        for descriptor in descriptors:
            if self._hearer is None:
                os.close(descriptor)
            else:
                self._hearer.take_descriptor(descriptor)
        if not chunk:
            self._loop.remove_reader(self._channel.fileno())
            return False
        try:
            for message in self._incoming.feed(chunk):
                self._tell(message)
        except Exception:
            _log.exception('a supervisor was not understood: %s', self._whose)
        return self._channel.fileno() >= 0

    def _tell(self, message: Any) -> None:
        if self._hearer is not None:
            self._hearer.hear(message)

    @property
    def _whose(self) -> str:
        if self._hearer is None:
            return f'pid {self.pid}'
        return f'execution {self._hearer.execution_id}'

    def _give_up(self) -> None:
        self.stuck = read_entry(self.pid)
        if self.stuck is not None and not self.stuck.is_zombie:
            self._let_go()

    def _end(self) -> None:
        if self._channel.fileno() >= 0:
            while self._receive():
                pass
        with contextlib.suppress(ChildProcessError):
            # Its spawner's child, which reaps it; this process's where the spawner is lost.
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        self._let_go()

    def _let_go(self) -> None:
        self.gone.set_result(None)
        self._loop.remove_reader(self._pidfd)
        self._close_channel()
        os.close(self._pidfd)
        self._on_gone(self)

    def _close_channel(self) -> None:
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel.fileno())
            self._wait_for_no_room()
            self._channel.close()
