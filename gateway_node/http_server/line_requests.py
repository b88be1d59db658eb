# SPDX-License-Identifier: Apache-2.0
"""Handlers of the line, and what their routes take."""

from dataclasses import dataclass
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import present
from gateway_node.executions.line import LineState
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.executions import answer_of
from gateway_node.http_server.fields import Flag
from gateway_node.http_server.representations import Json
from gateway_node.http_server.start_bodies import PRIORITY
from gateway_node.http_server.subjects import NamesExecution, Nothing, OfEntity
from gateway_node.http_server.takes import member


@dataclass(frozen=True, kw_only=True)
class LineBody:
    """What a client says of the line."""

    paused: bool = member(Flag())


@dataclass(frozen=True, kw_only=True)
class PriorityBody:
    """What a client changes of an execution that waits."""

    priority: int = member(PRIORITY)


async def show_line(call: Call[Nothing, None]) -> Answer:
    """Tell how many executions wait for a place, and for how long."""
    return Answer(body=line_summary(call.services.executions.line.state()))


async def set_line(call: Call[Nothing, LineBody]) -> Answer:
    """Hold the line, or let it go on: while it is paused nothing is started.

    What runs goes on, what is started waits. It holds over restarts.
    """
    return await _set(call, None)


async def show_entity_line(call: Call[OfEntity, None]) -> Answer:
    """Tell how many executions wait for a place on an entity, and for how long."""
    return Answer(body=line_summary(call.services.executions.line.state(call.at.entity)))


async def set_entity_line(call: Call[OfEntity, LineBody]) -> Answer:
    """Hold the part of the line that waits for an entity, or let it go on."""
    return await _set(call, call.at.entity)


async def set_priority(call: Call[NamesExecution, PriorityBody]) -> Answer:
    """Change the priority of an execution that waits in line."""
    execution = await call.at.execution(call.services.questions)
    await call.services.executions.line.prioritise(execution, call.body.priority, actor=call.actor)
    execution = await call.services.questions.get_by_id(execution.id)
    return await answer_of(call, execution)


def line_summary(state: LineState) -> Json:
    """Build what is shown of the line."""
    waited = state.oldest_wait_sec
    return present(
        {
            'paused': state.paused,
            'waiting': state.waiting,
            'oldest_wait_sec': None if waited is None else round(waited, 3),
        }
    )


async def _set(call: Call[Any, LineBody], entity: EntityRef | None) -> Answer:
    state = await call.services.executions.line.set_paused(
        entity, paused=call.body.paused, actor=call.actor
    )
    return Answer(body=line_summary(state))
