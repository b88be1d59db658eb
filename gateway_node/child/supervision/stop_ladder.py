# SPDX-License-Identifier: Apache-2.0
"""How a process tree is ended, from asking to giving up."""

from collections.abc import Callable
import math
import os
import signal
import time

from gateway_node.child.contract import LINGER_SEC
from gateway_node.child.killing import KILL_PATIENCE_SEC, Killing
from gateway_node.child.messages import ProcessNote
from gateway_node.child.process_tree import (
    descendants,
    Identity,
    KILL_INTERVAL_SEC,
    signal_all,
)
from gateway_node.child.supervision.due_times import DueTimes


class StopLadder:
    """Ends all that is below this process, a subreaper; read it from top to bottom.

        the tree is to end       the main process has ended      at once
        ------------------       --------------------------      -------
        the stop signal          LINGER_SEC
        the grace period         SIGTERM
                                 LINGER_SEC
                      SIGKILL, until nothing is left
                      KILL_PATIENCE_SEC
                      what lives is given up

    The first two can be gone at the same time; the kill is then due where the first of them says.
    """

    def __init__(
        self,
        due: DueTimes,
        *,
        stop_signal: int,
        grace_sec: float,
        kill_cgroup: Callable[[], None],
    ) -> None:
        self._due = due
        self._stop_signal = stop_signal
        self._grace_sec = grace_sec
        self._kill_cgroup = kill_cgroup
        self._asked = False
        self._lingers = False
        self._killing = Killing()
        self._give_up_at = math.inf
        self._signals = False
        self.leftovers: set[Identity] = set()
        """What outlived the main process until it was signalled here."""
        self.given_up = False
        """True at the ladder's end."""
        self.unkillable: list[ProcessNote] = []
        """What was given up."""

    @property
    def kills(self) -> bool:
        """True from the first SIGKILL on."""
        return self._give_up_at != math.inf

    @property
    def unused(self) -> bool:
        """True where nothing was signalled, nor tried to be."""
        return not (self._signals or self.kills)

    def stop(self) -> None:
        """Have the tree end: ask it now, and kill it after the grace period."""
        if self._asked or self.kills:
            return
        self._asked = True
        self._due.bring_forward(self.kill, time.monotonic() + self._grace_sec)
        self._signal(self._stop_signal)

    def linger(self) -> None:
        """Have end what is left of the tree, now that the main process has ended."""
        if self.kills:
            return
        self._lingers = True
        now = time.monotonic()
        self._due.put(self._ask_leftovers, now + LINGER_SEC)
        self._due.bring_forward(self.kill, now + 2 * LINGER_SEC)

    def _ask_leftovers(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Have the tree end at once."""
        if self.kills:
            return
        self._give_up_at = time.monotonic() + KILL_PATIENCE_SEC
        self._due.drop(self._ask_leftovers)
        self._due.drop(self.kill)
        self._kill_once()
        self._kill_cgroup()

    def note_ended(self) -> None:
        """Take note that something has ended: what it left is killed without a pause."""
        if self.kills:
            self._due.put(self._kill_once, time.monotonic())

    def _kill_once(self) -> None:
        tree = descendants(os.getpid())
        pending = self._killing.round(tree)
        if self._lingers:
            self.leftovers.update(self._killing.killed)
        living = [entry for entry in tree if not entry.is_zombie]
        now = time.monotonic()
        if (living and not pending) or now >= self._give_up_at:
            self.unkillable = self._killing.notes(living)
            self.given_up = True
        else:
            self._due.put(self._kill_once, now + KILL_INTERVAL_SEC)

    def _signal(self, number: int) -> None:
        self._signals = True
        reached = signal_all(descendants(os.getpid()), number).reached
        if self._lingers:
            self.leftovers.update(entry.identity for entry in reached)
        signal_all(reached, signal.SIGCONT)
