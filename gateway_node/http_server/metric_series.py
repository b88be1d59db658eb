# SPDX-License-Identifier: Apache-2.0
"""Series of a metric over the executions that measured it, and what the route takes."""

import dataclasses
from dataclasses import dataclass

from gateway_node.clock import rfc3339
from gateway_node.executions.findings import MAX_METRIC_NAME_CHARACTERS
from gateway_node.executions.values import Execution
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.execution_lists import find_part, wanted_executions
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.paging import Paging
from gateway_node.http_server.query_fields import SearchText
from gateway_node.http_server.representations import Json, listing, present
from gateway_node.http_server.takes import required_query


@dataclass(frozen=True, kw_only=True)
class OfMetric(ExecutionQuery, Paging):
    """Takes a metric, of which executions, and which part of them."""

    metric: str = required_query(
        SearchText(MAX_METRIC_NAME_CHARACTERS),
        name='name',
        about='The name under which scripts measured it.',
    )


async def list_metric(call: Call[OfMetric, None]) -> Answer:
    """List the values of a metric, the newest execution first."""
    name = call.at.metric
    wanted = dataclasses.replace(await wanted_executions(call), metric=name)
    found, around = await find_part(call, wanted)
    items = [_point(call.base, execution, name) for execution in found]
    return Answer(body=listing(items) | around.members, links=around.links)


def _point(base: str, execution: Execution, name: str) -> Json:
    return present(
        {
            'execution_id': execution.id,
            'href': execution_href(base, execution),
            'entity': execution.entity.path,
            'script_id': execution.script_id,
            'script_name': execution.script_name,
            'at': rfc3339(execution.completed_at or execution.created_at),
            'value': execution.metrics[name],
            'verdict': execution.verdict and execution.verdict.value,
        }
    )
