# SPDX-License-Identifier: Apache-2.0
"""Whose a process below the gateway is: who starts one registers it.

What is below the gateway when it begins is a stranger's, as in
`bash -c 'sleep 1000 & exec gateway_node'`, and so is whatever comes below a stranger later. All
else that is not registered can only have come from a spawner that died.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
import contextlib
import os

from gateway_node.child.process_tree import descendants, identify, Identity, ProcessEntry


class OwnProcesses:
    """The register, and the strangers. Made before this process starts another one."""

    def __init__(self) -> None:
        self._registered: dict[int, Identity] = {}
        self._starting = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._strangers = {entry.identity for entry in descendants(os.getpid())}

    @property
    def strangers(self) -> frozenset[Identity]:
        """What was there when this process began, or came below it since, and may live."""
        return frozenset(self._strangers)

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Hold judgement while a process is made that can be registered only afterwards."""
        self._starting += 1
        self._settled.clear()
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._settled.set()

    def add(self, pid: int) -> None:
        """Register a process, at its start."""
        identity = identify(pid)
        if identity is not None:
            self._registered[pid] = identity

    def remove(self, pid: int) -> None:
        """Forget a process that was reaped."""
        self._registered.pop(pid, None)

    def leave_alone(self, entries: Iterable[ProcessEntry]) -> None:
        """Take what cannot be ended for strangers from now on."""
        self._strangers.update(entry.identity for entry in entries)

    async def orphans(self) -> list[ProcessEntry]:
        """Return what is neither registered nor a stranger's, parents before children."""
        while self._starting:
            await self._settled.wait()
        return self._look()[1]

    def tend_strangers(self, is_certain: Callable[[], bool]) -> None:
        """Take note of the strangers that there are, and reap those that have ended.

        `is_certain`, asked after the look, tells that no script's process can have come below
        this one: what else is there then is a stranger's that lost its parent.
        """
        strangers, others = self._look()
        if not self._starting and is_certain():
            strangers += others
        self._strangers = {entry.identity for entry in strangers}
        for entry in strangers:
            if entry.is_zombie and entry.parent == os.getpid():
                reap(entry.pid)

    def _look(self) -> tuple[list[ProcessEntry], list[ProcessEntry]]:
        """Return the strangers and what is nobody's, without what is registered and below it."""
        registered = {pid for pid, identity in self._registered.items() if identity.find()}
        strangers: dict[int, ProcessEntry] = {}
        others = []
        for entry in descendants(os.getpid(), without=registered):
            if entry.identity in self._strangers or entry.parent in strangers:
                strangers[entry.pid] = entry
            else:
                others.append(entry)
        return list(strangers.values()), others


def reap(pid: int) -> None:
    """Take note of the end of a child, where it is one and has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
