# SPDX-License-Identifier: Apache-2.0
"""The handler of actions on many executions, and what its route takes."""

from dataclasses import dataclass, replace

from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.many import ActedOn, Action
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.error_table import error_told
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.execution_columns import execution_href, href_of
from gateway_node.http_server.execution_lists import wanted_by
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.fields import Choice, Flag
from gateway_node.http_server.filter_field import Filter
from gateway_node.http_server.representations import Json
from gateway_node.http_server.start_bodies import Confirmation
from gateway_node.http_server.subjects import Nothing
from gateway_node.http_server.takes import member, optional


@dataclass(frozen=True, kw_only=True)
class ActionBody:
    """What a client says to act on many executions."""

    action: Action = member(Choice(Action))
    filter: ExecutionQuery = member(Filter())
    dry_run: bool = optional(Flag(), default=False)
    confirmed: Confirmed = optional(Confirmation(), default=False)


async def act_on_executions(call: Call[Nothing, ActionBody]) -> Answer:
    """Stop, remove or start again all executions that a filter finds, at most 1,000.

    Each is acted on as by its own request; what is amiss with one keeps nothing from the others.
    `dry_run` tells which they would be.
    """
    body, many = call.body, call.services.many
    try:
        wanted = await wanted_by(call.services, body.filter)
    except InvalidParameter as error:
        raise _in_the_body(error) from error
    if body.dry_run:
        acted, done = await many.find(body.action, wanted), 'matched'
    else:
        acted = await many.act(body.action, wanted, actor=call.actor, confirmed=body.confirmed)
        done = 'done'
    items = [_item(call.base, each, done) for each in acted.executions]
    return Answer(body={'items': items, 'truncated': acted.truncated, 'dry_run': body.dry_run})


def _item(base: str, one: ActedOn, done: str) -> Json:
    href = href_of(base, one.entity.path, one.script_id, one.execution_id)
    item: Json = {'id': one.execution_id, 'href': href, 'result': done}
    if one.error is not None:
        _, error = error_told(one.error, f'an action on {one.execution_id}')
        return item | {'result': 'refused', 'error': error}
    if one.again is not None:
        item['started'] = {'id': one.again.id, 'href': execution_href(base, one.again)}
    return item


def _in_the_body(error: InvalidParameter) -> InvalidParameter:
    """Return what is wrong with a filter as the body has it."""
    return InvalidParameter(
        str(error),
        tuple(
            replace(each, path=each.path.replace('/query/', '/body/filter/', 1))
            for each in error.violations
        ),
    )
