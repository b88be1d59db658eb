# SPDX-License-Identifier: Apache-2.0
"""What evidence needs from outside, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from gateway_node.evidence.evidence_parts import KeptEvidence, Part
from gateway_node.evidence.values import Diagnostics, GraphPicture, LogLines
from gateway_node.scripts.values import Script


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
        """Why no bag can be recorded here, by the name of what is missing."""


class ScriptEnvironments(Protocol):
    """Knows what scripts find in their environment."""

    async def variables(self, script: Script) -> Mapping[str, str]:
        """Return the variables that a script finds, without what each execution has for itself;
        Unavailable."""


class ExecutionDocuments(Protocol):
    """Knows how executions are answered."""

    async def document(self, execution_id: str) -> bytes:
        """Return an ended execution as JSON, as `GET` of it would; ExecutionNotFound,
        LibraryUnavailable, StoreUnavailable."""


class EvidenceFiles(Protocol):
    """Keeps evidence: an archive an execution, whole or not at all."""

    async def keep(self, execution_id: str, parts: Sequence[Part]) -> None:
        """Keep these parts in place of what is kept; NotKept."""

    async def find(self, execution_id: str) -> KeptEvidence | None:
        """Return what is kept of an execution; None where nothing is that can be read."""

    async def read(self, execution_id: str, names: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the parts with these names that are kept."""

    def content(
        self, execution_id: str, kept: KeptEvidence, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the archive from `begin` up to `end`.

        ConnectionAbortedError where they are not there any more.
        """

    async def remove(self, execution_id: str) -> None:
        """Remove what is kept of an execution, and its folder where nothing else is there."""
