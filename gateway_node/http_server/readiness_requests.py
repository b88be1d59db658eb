# SPDX-License-Identifier: Apache-2.0
"""The handler that tells why a script would not start now."""

from dataclasses import dataclass

from gateway_node.executions.values import ExecutionType
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.fields import Choice
from gateway_node.http_server.representations import listing
from gateway_node.http_server.subjects import OfScript
from gateway_node.http_server.takes import query


@dataclass(frozen=True, kw_only=True)
class OfReadiness(OfScript):
    """Takes a script, and the kind of start that is meant."""

    execution_type: ExecutionType = query(
        Choice(ExecutionType), default=ExecutionType.NOW, about='Of the start that is meant.'
    )


async def show_readiness(call: Call[OfReadiness, None]) -> Answer:
    """Tell why a script would not start now, and what would have to change.

    Every need of a start is looked at, in the order in which a start asks for it. `ready` tells
    whether a start that says nothing but its `execution_type` would begin at once.
    """
    at, services = call.at, call.services
    script = await services.library.get(at.entity, at.script_id)
    checked = await services.executions.readiness.of(
        at.entity, script, at.execution_type, call.actor
    )
    body = listing(each.document() for each in checked)
    return Answer(body={'ready': all(each.ready for each in checked), **body})
