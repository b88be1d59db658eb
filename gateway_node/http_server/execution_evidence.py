# SPDX-License-Identifier: Apache-2.0
"""What was around an execution, and how it compares with another one."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway_node.evidence.comparing import last_pass
from gateway_node.executions.values import Execution
from gateway_node.http_server.artifacts import NamesArchive
from gateway_node.http_server.calls import Answer, Call, FilePart
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.fields import ExecutionId, Field, refused, shown, ValueRefused
from gateway_node.http_server.media_types import ZIP
from gateway_node.http_server.subjects import (
    ByExecutionId,
    find_all,
    NamesExecution,
    OfExecution,
)
from gateway_node.http_server.takes import required_query

LAST_PASS = 'last-pass'


class ComparedWith(Field[str]):
    """The id of an execution, or LAST_PASS."""

    def read(self, value: object) -> str:
        """Return it."""
        if value == LAST_PASS:
            return LAST_PASS
        try:
            return ExecutionId().read(value)
        except ValueRefused as error:
            raise refused(
                f'is {shown(value)}; allowed: {LAST_PASS}, or the id of an execution'
            ) from error

    def schema(self) -> dict[str, Any]:
        """Tell what is allowed."""
        return {'anyOf': [{'const': LAST_PASS}, ExecutionId().schema()]}


@dataclass(frozen=True, kw_only=True)
class NamesComparison(NamesExecution):
    """Takes an execution, and what it is compared with."""

    other: str = required_query(
        ComparedWith(),
        name='with',
        about='`last-pass`, the newest one before it that passed; or the id of an execution.',
    )


@dataclass(frozen=True, kw_only=True)
class OfComparison(OfExecution, NamesComparison):
    """Takes an execution of a script, and what it is compared with."""


@dataclass(frozen=True, kw_only=True)
class ByComparedId(ByExecutionId, NamesComparison):
    """Takes an execution, whatever it is of, and what it is compared with."""


async def show_evidence(call: Call[NamesExecution, None]) -> Answer:
    """Tell what was around an execution, in short.

    Evidence is of the whole robot: whose credential is narrowed does not get it.
    """
    execution = await _witnessed(call)
    summary = await call.services.evidence.summary(execution)
    href = execution_href(call.base, execution)
    return Answer(body={**summary, 'href': f'{href}/evidence.zip'})


async def download_evidence(call: Call[NamesArchive, None]) -> Answer:
    """Download all that was around an execution as one zip archive, or a part of that."""
    execution = await _witnessed(call)
    kept = await call.services.evidence.of(execution)
    return Answer(
        body=FilePart(
            pieces=partial(call.services.evidence.content, execution.id, kept),
            size=kept.size,
            tag=f'"{kept.digest}"',
            asked=call.at,
            media_type=ZIP,
            file_name=f'{execution.id}-evidence.zip',
        )
    )


async def compare_executions(call: Call[NamesComparison, None]) -> Answer:
    """Tell in what an execution differs from another one.

    What only evidence tells needs evidence of both, and the graph a credential that is not
    narrowed.
    """
    questions = call.services.questions
    this = await call.at.execution(questions)
    if call.at.other == LAST_PASS:
        other = await last_pass(questions, this)
    else:
        other = await questions.get_by_id(call.at.other)
    sees_all = call.actor.scope.is_everything
    aspects = await call.services.evidence.compare(this, other, sees_all=sees_all)
    sides = (('this', this), ('other', other))
    named = {name: _named(call, execution) for name, execution in sides}
    return Answer(body={**named, **aspects})


async def _witnessed(call: Call[NamesExecution, None]) -> Execution:
    execution = await call.at.execution(call.services.questions)
    await find_all(call)
    return execution


def _named(call: Call[Any, Any], execution: Execution) -> dict[str, str]:
    return {'id': execution.id, 'href': execution_href(call.base, execution)}
