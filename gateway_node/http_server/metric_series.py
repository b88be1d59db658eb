# SPDX-License-Identifier: Apache-2.0
"""Series of a metric over the executions that measured it, and what the route takes."""

import dataclasses
from dataclasses import dataclass

from gateway_node.executions.documents import present
from gateway_node.executions.findings import MAX_METRIC_NAME_CHARACTERS
from gateway_node.executions.summary_texts import SummaryText
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.execution_lists import find_part, wanted_executions
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.paging import Paging
from gateway_node.http_server.query_fields import SearchText
from gateway_node.http_server.representations import Json, listing
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
    items = [_point(call.base, each, name) for each in found]
    return Answer(body=listing(items) | around.members, links=around.links)


def _point(base: str, execution: SummaryText, name: str) -> Json:
    summary = execution.read()
    return present(
        {
            'execution_id': execution.execution_id,
            'href': f'{base}{execution.href}',
            'entity': execution.entity,
            'script_id': execution.script_id,
            'script_name': summary.get('script_name'),
            'at': summary.get('completed_at', summary['created_at']),
            'value': summary['metrics'][name],
            'verdict': summary.get('verdict'),
        }
    )
