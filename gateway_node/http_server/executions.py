# SPDX-License-Identifier: Apache-2.0
"""Handlers of executions, and what their routes take."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.again import repetition_of
from gateway_node.executions.ended_details import Detail
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, StopAction
from gateway_node.http_server.calls import Answer, Call, Document
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.fields import Choice, Flag
from gateway_node.http_server.media_types import JSON
from gateway_node.http_server.once import MadeOnce, started_once
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.preferences import PREFER, Wait
from gateway_node.http_server.representations import content_href, Json
from gateway_node.http_server.start_bodies import RetryBody, StartBody
from gateway_node.http_server.subjects import ByExecutionId, NamesExecution, OfExecution, OfScript
from gateway_node.http_server.takes import header, member, optional

Start = Callable[[IdempotencyKey | None], Awaitable[Execution]]
"""Starts an execution, which is recorded with the key."""


@dataclass(frozen=True, kw_only=True)
class WaitsForEnd:
    """Takes how long a client waits for the end of what it starts."""

    wait_sec: int | None = header(
        PREFER,
        Wait(),
        default=None,
        about='`wait=10` (RFC 7240): answer when the execution has ended, or after 10 seconds.',
    )


@dataclass(frozen=True, kw_only=True)
class OfStart(OfScript, MadeOnce, WaitsForEnd):
    """Takes a script, and how long a client waits for the end of what it starts."""


@dataclass(frozen=True, kw_only=True)
class Retrying(NamesExecution, MadeOnce, WaitsForEnd):
    """Takes an execution that is started again."""


@dataclass(frozen=True, kw_only=True)
class OfRetry(OfExecution, Retrying):
    """Takes an execution of a script that is started again."""


@dataclass(frozen=True, kw_only=True)
class ByRetriedId(ByExecutionId, Retrying):
    """Takes an execution that is started again, whatever it is of."""


@dataclass(frozen=True, kw_only=True)
class ShownExecution(NamesExecution, OfKnown):
    """Takes an execution, and what a client has of it."""


@dataclass(frozen=True, kw_only=True)
class OfShown(OfExecution, ShownExecution):
    """Takes an execution of a script, and what a client has of it."""


@dataclass(frozen=True, kw_only=True)
class ByShownId(ByExecutionId, ShownExecution):
    """Takes an execution, whatever it is of, and what a client has of it."""


@dataclass(frozen=True, kw_only=True)
class StopBody:
    """What a client says to stop one."""

    action: StopAction = member(Choice(StopAction))
    stop_children: bool = optional(Flag(), default=True)


async def start_execution(call: Call[OfStart, StartBody]) -> Answer:
    """Start an execution of a script.

    It is on record when this is answered, and runs as soon as the limits allow. `Prefer: wait=10`
    has the end waited for so many seconds, and an execution that ended in time answered as its
    GET answers it.
    """
    at, wish = call.at, call.body.start()
    return await answer_start(call, _starting(call, at.entity, at.script_id, wish))


async def retry_execution(call: Call[Retrying, RetryBody]) -> Answer:
    """Start the script of an execution that has ended again, in the version that it has now.

    It is given the same parameters and arguments, unless others are said. The new execution names
    the one that it repeats as its `parent`.
    """
    execution = await call.at.execution(call.services.questions)
    wish = call.body.over(repetition_of(execution))
    starting = _starting(call, execution.entity, execution.script_id, wish)
    return await answer_start(call, starting)


def _starting(
    call: Call[Any, Any], entity: EntityRef, script_id: str, wish: StartRequest
) -> Start:
    return lambda key: call.services.executions.start(
        entity, script_id, replace(wish, key=key), actor=call.actor
    )


async def answer_start(call: Call[Any, Any], start: Start) -> Answer:
    """Start what a call asks for, once, and answer that; or, where it waits, the end."""
    answer_at = call.services.clock.monotonic() + (call.at.wait_sec or 0)
    made = await started_once(call, start)
    answer = await started_or_ended(call, made.resource, answer_at, _started)
    return replace(answer, replayed=made.replayed)


async def started_or_ended(
    call: Call[WaitsForEnd, Any],
    execution: Execution,
    answer_at: float,
    started: Callable[[Call[Any, Any], Execution], Awaitable[Answer]],
) -> Answer:
    """Answer what was `started`; where the client waits, as its GET does once it has ended."""
    wait_sec = call.at.wait_sec
    if wait_sec is None or execution.is_schedule:
        return await started(call, execution)
    left_sec = answer_at - call.services.clock.monotonic()
    execution = await call.services.questions.ended_within(execution, left_sec)
    answer = (
        await started(call, execution)
        if execution.is_open
        else replace(await answer_of(call, execution), status=200)
    )
    return replace(
        answer, location=execution_href(call.base, execution), preference=f'wait={wait_sec}'
    )


async def _started(call: Call[Any, Any], execution: Execution) -> Answer:
    href = execution_href(call.base, execution)
    body: Json = {'id': execution.id, 'status': execution.status.value, 'href': href}
    if execution.queue_position is not None:
        body['queue_position'] = execution.queue_position
    if execution.schedule is not None:
        body['schedule'] = execution_href(call.base, execution, execution.schedule)
    return Answer(body=body, location=href)


async def show_execution(call: Call[ShownExecution, None]) -> Answer:
    """Show an execution, with its output and its result.

    Of one that has ended `ETag` names what is answered, for `If-None-Match`.
    """
    detail = await call.at.detail(call.services.questions)
    document = await _document(call, detail)
    return Answer(body=document, asked=call.at if detail.has_ended else None)


async def stop_execution(call: Call[NamesExecution, StopBody]) -> Answer:
    """Stop an execution, and those that its script started.

    Its end is waited for a second; one that resists is answered with `terminating`.
    """
    execution = await call.at.execution(call.services.questions)
    stopped = await call.services.executions.stop(
        execution.entity,
        execution.script_id,
        execution.id,
        call.body.action,
        actor=call.actor,
        stop_children=call.body.stop_children,
    )
    return await answer_of(call, stopped)


async def delete_execution(call: Call[NamesExecution, None]) -> Answer:
    """Remove an execution that has ended, or a schedule."""
    execution = await call.at.execution(call.services.questions)
    await call.services.executions.delete(
        execution.entity, execution.script_id, execution.id, actor=call.actor
    )
    return Answer()


async def answer_of(call: Call[Any, Any], execution: Execution) -> Answer:
    """Answer an execution as its GET does."""
    detail = await call.services.questions.detail_of(execution)
    return Answer(body=await _document(call, detail))


async def _document(call: Call[Any, Any], detail: Detail) -> Document:
    is_outdated, has_content = await call.services.questions.version_now(detail)
    answered = detail_body(call.base, detail, is_outdated=is_outdated, has_content=has_content)
    return Document(content=answered, media_type=JSON)


def detail_body(base: str, detail: Detail, *, is_outdated: bool, has_content: bool) -> bytes:
    """Build all that is shown of an execution; `has_content` where the file of its script is
    there as it ran."""
    content = None
    if has_content:
        summary = detail.summary
        script_href = f'{base}/{summary.entity}/scripts/{summary.script_id}'
        content = content_href(script_href, summary.script_version)
    return detail.answered(base, is_outdated=is_outdated, script_content=content)
