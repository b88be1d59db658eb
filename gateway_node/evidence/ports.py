# SPDX-License-Identifier: Apache-2.0
"""What evidence needs from outside, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from gateway_node.evidence.values import Diagnostics, GraphPicture, LogLines


class BagRecording(Protocol):
    """A bag that is being recorded."""

    async def stop(self) -> str:
        """End it; its folder then holds the whole bag. Return what is wrong with it, for a person;
        empty where nothing is. Never raises, repeating it is harmless."""


class RobotWitness(Protocol):
    """Sees what happens on the robot. On the event loop; nothing here blocks it.

    Moments are seconds of the monotonic clock.
    """

    def keep(self) -> Callable[[], None]:
        """Have what is logged and what changes in `/diagnostics` held from now on; return what
        ends that. However many want it, it is held once, bounded, and only while somebody does."""

    def log_lines(self, begin: float, end: float) -> LogLines:
        """Return what was logged from `begin` up to, and without, `end`, as far as it is held."""

    def diagnostics(self, begin: float, end: float) -> Diagnostics:
        """Return how `/diagnostics` stood at `begin`, and what changed up to `end`."""

    async def graph(self) -> GraphPicture:
        """Return the graph as it is now; Unavailable."""

    async def parameters(self, node: str, patience_sec: float) -> Mapping[str, Any]:
        """Return the parameters of a node by name, fully qualified, as JSON values; Unavailable
        where it does not answer in time."""

    @property
    def bag_fault(self) -> str:
        """Why no bag can be recorded here, by the name of what is missing; empty where it can."""

    async def record(self, topics: Sequence[str], folder: Path, max_bytes: int) -> BagRecording:
        """Record topics into a folder, which does not exist yet, until `stop` or until so many
        bytes are there; Unavailable."""
