# SPDX-License-Identifier: Apache-2.0
"""Handlers of lists of executions, and what their routes take."""

from dataclasses import dataclass

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.execution_columns import ExecutionRows
from gateway_node.http_server.fields import ExecutionId, Integer
from gateway_node.http_server.representations import listing
from gateway_node.http_server.subjects import OfScript
from gateway_node.http_server.takes import query

DEFAULT_PAGE = 100
MAX_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class OfPage(OfScript):
    """Takes a page of a script's executions."""

    limit: int = query(Integer(1, MAX_PAGE), default=DEFAULT_PAGE)
    before: str | None = query(ExecutionId(), default=None)


async def list_executions(call: Call[OfPage, None]) -> Answer:
    """List the executions of a script, newest first.

    `next` is the path of the following page, where there is one.
    """
    at, executions = call.at, call.services.executions
    wanted = ExecutionFilter(entity=at.entity, script_id=at.script_id)
    page = await executions.find(wanted, KeysetPage(limit=-at.limit, reference=at.before))
    version = await executions.present_version(at.entity, at.script_id)
    rows = ExecutionRows(call.base, {(at.entity, at.script_id): version})
    body = listing(map(rows.row, page.executions))
    if page.more:
        href = f'{call.base}/{at.entity.path}/scripts/{at.script_id}/executions'
        body['next'] = f'{href}?limit={at.limit}&before={page.more}'
    return Answer(body=body)
