# SPDX-License-Identifier: Apache-2.0
"""What is seen of the robot around executions (docs/decisions/072-evidence.md).

Belongs to the event loop; the looking is done by a thread with a hidden node, which is there only
while somebody wants something. `/diagnostics` is read with the values of the robot: once, whoever
looks at it.
"""

import asyncio
from collections.abc import Callable, Mapping
import contextlib
import time
from typing import Any

from rclpy.context import Context
from rclpy.node import Node

from gateway_node.conditions.sources import DiagnosticLevel, Reading
from gateway_node.entities.values import NodeName
from gateway_node.evidence.errors import Unavailable
from gateway_node.evidence.values import Diagnostics, GraphPicture, LogLines
from gateway_node.ros.bags import bag_fault
from gateway_node.ros.diagnostic_ring import DiagnosticRing
from gateway_node.ros.log_ring import LogRing
from gateway_node.ros.robot_values import RosRobotValues
from gateway_node.ros.witness_thread import Asked, Question, WitnessThread

_MOST = 0.9
"""Of the patience that somebody has: so that who asks still hears why there is no answer."""


class RosRobotWitness:
    """RobotWitness on rclpy."""

    def __init__(
        self,
        context: Context,
        node: NodeName,
        values: RosRobotValues,
        diagnostics: DiagnosticRing,
    ) -> None:
        """Look at nothing yet; `node` is the gateway's own, and what `values` reads of
        `/diagnostics` goes into the ring."""
        self._context = context
        self._node = node
        self._values = values
        self._diagnostics = diagnostics
        self._lines = LogRing()
        self._keepers: set[object] = set()
        self._end_watch: Callable[[], None] | None = None
        self._thread: WitnessThread | None = None
        self._closed = False

    def keep(self) -> Callable[[], None]:
        """Have what is logged and what changes in `/diagnostics` held until what is returned is
        called."""
        keeper = object()
        self._keepers.add(keeper)
        if len(self._keepers) == 1:
            self._diagnostics.hold()
            self._end_watch = self._values.watch(DiagnosticLevel(name='*'), _ignore)
            # Where there is no thread to be had, the next look tries again.
            with contextlib.suppress(Unavailable):
                self._ask()
        return lambda: self._let_go(keeper)

    def log_lines(self, begin: float, end: float) -> LogLines:
        """Return what was logged in a part of time, as far as it is held."""
        return self._lines.between(begin, end)

    def diagnostics(self, begin: float, end: float) -> Diagnostics:
        """Return how `/diagnostics` stood at `begin`, and what changed up to `end`."""
        return self._diagnostics.between(begin, end)

    async def graph(self) -> GraphPicture:
        """Return the graph as it is now; Unavailable."""
        own = self._node

        def look(node: Node) -> Question:
            from gateway_node.ros.graph_picture import GraphLook

            return GraphLook(node, own)

        picture = await self._answer(look)
        assert isinstance(picture, GraphPicture)
        return picture

    async def parameters(self, node: str, patience_sec: float) -> Mapping[str, Any]:
        """Return the parameters of a node by name; Unavailable."""
        give_up_at = time.monotonic() + _MOST * patience_sec

        def look(on: Node) -> Question:
            from gateway_node.ros.parameter_look import ParameterLook

            return ParameterLook(on, node, give_up_at)

        values = await self._answer(look)
        assert isinstance(values, dict)
        return values

    @property
    def bag_fault(self) -> str:
        """Why no bag can be recorded here."""
        return bag_fault()

    def close(self) -> None:
        """Look at nothing any more; returns when the node is gone, after some 10 ms."""
        self._closed = True
        if self._thread is not None:
            self._thread.stop()

    def _let_go(self, keeper: object) -> None:
        if keeper not in self._keepers:
            return
        self._keepers.remove(keeper)
        if self._keepers:
            return
        if self._end_watch is not None:
            self._end_watch()
            self._end_watch = None
        if self._thread is not None:
            self._thread.want(lines=False)
        self._diagnostics.clear()
        self._lines.clear()

    async def _answer(self, make: Callable[[Node], Question]) -> Any:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()

        def tell(answer: Any) -> None:
            # RuntimeError: the loop is closed, and nobody is left who could be told.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, answered, answer)

        self._ask(Asked(make=make, tell=tell, is_over=answered.done))
        return await answered

    def _ask(self, ask: Asked | None = None) -> None:
        """Tell the thread what is wanted, of a new one where the last one has ended."""
        if self._closed:
            raise Unavailable('the gateway ends')
        reads = bool(self._keepers)
        if self._thread is not None and self._thread.want(lines=reads, ask=ask):
            return
        name = NodeName(namespace=self._node.namespace, name=f'_{self._node.name}_witness')
        thread = WitnessThread(self._context, name, self._lines)
        thread.want(lines=reads, ask=ask)
        try:
            thread.start()
        except RuntimeError as error:
            raise Unavailable(f'nothing can be seen of the robot: {error}') from error
        self._thread = thread


def _settle(answered: 'asyncio.Future[Any]', answer: Any) -> None:
    if answered.done():
        return  # nobody waits any more
    if isinstance(answer, Unavailable):
        answered.set_exception(answer)
    else:
        answered.set_result(answer)


def _ignore(reading: Reading) -> None:
    """Do nothing: the ring takes each message, and nobody asks which status is the worst."""
