# SPDX-License-Identifier: Apache-2.0
"""Witnesses in memory: of executions, and of what happens on a robot."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway_node.evidence.errors import Unavailable
from gateway_node.evidence.values import (
    DiagnosticChange,
    Diagnostics,
    DiagnosticStatus,
    GraphPicture,
    LogLine,
    LogLines,
)
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.evidence_policy import EvidencePolicy
from gateway_node.scripts.values import Script, Verdict


class FakeWitness:
    """Fulfils the port `Witness` of executions, and notes what it is told."""

    def __init__(self) -> None:
        self.wanted = True
        self.kept = True
        self.said: list[tuple[str, str]] = []
        """What was called, and of which execution."""
        self.hold_before = asyncio.Event()
        """Cleared by a test, it keeps `before` waiting."""
        self.hold_before.set()

    def missing_for(self, policy: EvidencePolicy | None) -> str:
        """Lack nothing."""
        return ''

    def wants(self, execution: Execution, script: Script) -> bool:
        """Tell what the test says."""
        return self.wanted

    async def before(self, execution: Execution, script: Script) -> None:
        """Note the call."""
        self.said.append(('before', execution.id))
        await self.hold_before.wait()

    def keeps(self, execution_id: str, status: ExecutionStatus, verdict: Verdict | None) -> bool:
        """Tell what the test says."""
        self.said.append((f'keeps of {status.value}', execution_id))
        return self.kept

    def ended(self, execution: Execution) -> None:
        """Note the call, and how the execution stands."""
        self.said.append((f'ended as {execution.status.value}', execution.id))


class FakeRobotWitness:
    """Fulfils the port `RobotWitness`; a test says what happens."""

    def __init__(self) -> None:
        self.kept = 0
        """How many want it held at the moment."""
        self.lines: list[LogLine] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        """At the begin of whatever is asked for."""
        self.changes: list[DiagnosticChange] = []
        self.graph_now = GraphPicture(nodes=('/arm',), topics={}, services={})
        self.parameters_now: dict[str, dict[str, Any]] = {}
        """By node; one that is not here does not answer."""
        self.bag_fault = ''
        self.hold = asyncio.Event()
        """Cleared by a test, it keeps every look waiting."""
        self.hold.set()
        self.looks = 0

    def keep(self) -> Callable[[], None]:
        """Count who wants it held."""
        self.kept += 1
        released = False

        def release() -> None:
            nonlocal released
            self.kept -= 0 if released else 1
            released = True

        return release

    def log_lines(self, begin: float, end: float) -> LogLines:
        """Return those of that time."""
        return LogLines(lines=tuple(each for each in self.lines if begin <= each.received < end))

    def diagnostics(self, begin: float, end: float) -> Diagnostics:
        """Return those of that time."""
        return Diagnostics(
            at_begin=tuple(self.statuses[name] for name in sorted(self.statuses)),
            changes=tuple(each for each in self.changes if begin <= each.received < end),
        )

    async def graph(self) -> GraphPicture:
        """Return what the test says."""
        self.looks += 1
        await self.hold.wait()
        return self.graph_now

    async def parameters(self, node: str, patience_sec: float) -> Mapping[str, Any]:
        """Return what the test says."""
        await self.hold.wait()
        try:
            return dict(self.parameters_now[node])
        except KeyError:
            raise Unavailable(f'{node} does not answer') from None
