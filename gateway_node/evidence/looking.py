# SPDX-License-Identifier: Apache-2.0
"""Looks around an execution: each look has a second, and what it does not see it says."""

import asyncio
from collections.abc import Awaitable, Callable
import json
import logging
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway_node.clock import Clock, rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.evidence.errors import Unavailable
from gateway_node.evidence.machine import machine_figures
from gateway_node.evidence.ports import RobotWitness, ScriptEnvironments
from gateway_node.evidence.seen_robot import (
    graph_document,
    Json,
    unavailable,
    with_masks,
)
from gateway_node.evidence.values import GraphPicture
from gateway_node.scripts.values import Script
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

PATIENCE_SEC = 1.0
"""For each look, all of which are made at once."""
MAX_PARAMETER_BYTES = 256 * 1024
"""Of JSON, that the parameters of a node take."""

NodeOf = Callable[[EntityRef], str | None]
"""Tells the node that an entity is, fully qualified; None for one that is none, or is gone."""

_Seen = TypeVar('_Seen')


class SharedLook(Generic[_Seen]):
    """A look that is made once for all who ask while it is made."""

    def __init__(self, look: Callable[[], Awaitable[_Seen]]) -> None:
        self._look = look
        self._under_way: asyncio.Future[_Seen] | None = None

    async def answer(self) -> _Seen:
        """Return or raise what the look does."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(self._look())
            # Whoever asked may have gone before it fails.
            self._under_way.add_done_callback(_heard)
        return await asyncio.shield(self._under_way)


class Looks:
    """What can be looked at around an execution; every look returns a document."""

    def __init__(
        self,
        *,
        robot: RobotWitness,
        environments: ScriptEnvironments,
        node_of: NodeOf,
        state_dir: Path,
        clock: Clock,
    ) -> None:
        self._robot = robot
        self._environments = environments
        self._node_of = node_of
        self._clock = clock
        self._graph = SharedLook(robot.graph)
        self._last_picture: GraphPicture | None = None
        self._last_graph: Json = {}
        self._machine = Look(
            Threads('machine figures', 1), lambda: machine_figures(state_dir), PATIENCE_SEC
        )

    async def graph(self) -> Json:
        """Look at the graph."""
        return await self._seen('the graph', self._graph_document())

    async def node_parameters(self, entity: EntityRef) -> Json:
        """Look at the parameters of the node that an entity is, with masks for secrets."""
        node = self._node_of(entity)
        if node is None:
            return unavailable(f'{entity.path} is no node that is there')
        return await self._seen(f'the parameters of {node}', self._parameters(node))

    async def machine(self) -> Json:
        """Look at the machine."""
        return await self._seen('the machine', self._machine_document())

    async def environment(self, script: Script) -> Json:
        """Look at the variables that a script finds, with masks for secrets."""
        return await self._seen('the environment', self._variables(script))

    async def _graph_document(self) -> Json:
        picture = await self._graph.answer()
        if picture != self._last_picture:
            self._last_picture, self._last_graph = picture, graph_document(picture)
        # One document for all executions as long as the graph stays as it is.
        return self._last_graph

    async def _parameters(self, node: str) -> Json:
        values = with_masks(await self._robot.parameters(node, PATIENCE_SEC))
        size = len(json.dumps(values))
        if size > MAX_PARAMETER_BYTES:
            raise Unavailable(
                f'the parameters of {node} take {size} bytes; allowed: {MAX_PARAMETER_BYTES}'
            )
        return {'node': node, 'values': values}

    async def _machine_document(self) -> Json:
        at = rfc3339(self._clock.now())
        try:
            return {'at': at, **await self._machine.answer()}
        except OSError as error:
            raise Unavailable(f'the machine does not tell: {error}') from error

    async def _variables(self, script: Script) -> Json:
        return {'variables': with_masks(await self._environments.variables(script))}

    @staticmethod
    async def _seen(what: str, look: Awaitable[Json]) -> Json:
        try:
            async with asyncio.timeout(PATIENCE_SEC):
                return await look
        except Unavailable as error:
            return unavailable(str(error))
        except TimeoutError:
            return unavailable(f'{what} could not be seen within {PATIENCE_SEC:g} s')
        except Exception as error:
            _log.exception('a defect kept evidence from being taken: %s', what)
            return unavailable(f'a defect of the gateway: {error!r}')


def _heard(look: 'asyncio.Future[Any]') -> None:
    if not look.cancelled():
        look.exception()
