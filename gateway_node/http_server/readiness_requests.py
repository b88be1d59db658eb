# SPDX-License-Identifier: Apache-2.0
"""The handler that tells why a script would not start now."""

from dataclasses import dataclass

from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import ExecutionType
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.fields import Choice
from gateway_node.http_server.instance_requests import InstanceName
from gateway_node.http_server.representations import listing
from gateway_node.http_server.subjects import OfScript
from gateway_node.http_server.takes import query


@dataclass(frozen=True, kw_only=True)
class OfReadiness(OfScript):
    """Takes a script, and the kind of start that is meant."""

    execution_type: ExecutionType = query(
        Choice(ExecutionType), default=ExecutionType.NOW, about='Of the start that is meant.'
    )
    instance: str | None = query(
        InstanceName(), default=None, about='The instance of the script that is to be started.'
    )

    @property
    def ref(self) -> InstanceRef | None:
        """The instance that is meant, if one is."""
        if self.instance is None:
            return None
        return InstanceRef(entity=self.entity, script_id=self.script_id, name=self.instance)


async def show_script_readiness(call: Call[OfReadiness, None]) -> Answer:
    """Tell why a script would not start now, and what would have to change.

    With `instance`, why an instance of it would not. Every need of a start is looked at, in the
    order in which a start asks for it. `ready` tells whether a start that says nothing but its
    `execution_type` would begin at once.
    """
    at, services = call.at, call.services
    if at.ref is not None:
        if at.execution_type is not ExecutionType.NOW:
            reason = f"is '{at.execution_type.value}'; allowed of an instance: now"
            raise InvalidParameter.of_query(('execution_type', reason))
        services.instances.book.get(at.ref)
    script = await services.library.get(at.entity, at.script_id)
    checked = await services.executions.readiness.of(
        at.entity, script, at.execution_type, call.actor, at.ref
    )
    body = listing(each.document() for each in checked)
    return Answer(body={'ready': all(each.ready for each in checked), **body})
