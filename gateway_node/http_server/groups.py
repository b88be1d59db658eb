# SPDX-License-Identifier: Apache-2.0
"""Executing one script on several entities: what a client says, and the handler."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import enum
from typing import Any

from gateway_node.executions.child_counts import shown_counts
from gateway_node.executions.documents import skipped_of
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.execution_columns import execution_href
from gateway_node.http_server.executions import started_or_ended, WaitsForEnd
from gateway_node.http_server.fields import Choice, Field, Integer, refused, ValueRefused
from gateway_node.http_server.once import MadeOnce, started_once
from gateway_node.http_server.query_fields import EntityPattern, SearchText
from gateway_node.http_server.start_bodies import ARGUMENTS, PARAMETERS, StartOptions
from gateway_node.http_server.takes import member, optional
from gateway_node.violations import Violation

MAX_ENTITIES = 100
"""Paths and patterns of one start."""
MAX_PARALLEL = 1000


class OnlyNow(enum.Enum):
    """The type of an execution on several entities."""

    NOW = ExecutionType.NOW.value
    """At once."""


class Entities(Field[tuple[str, ...]]):
    """Paths of entities and patterns of paths: one, or a list of them."""

    def __init__(self) -> None:
        self._one = EntityPattern()

    def read(self, value: object) -> tuple[str, ...]:
        """Return all of them; every one that is wrong is told."""
        if not isinstance(value, list):
            return (self._one.read(value),)
        if not 0 < len(value) <= MAX_ENTITIES:
            raise refused(f'has {len(value)} entities; allowed: 1 to {MAX_ENTITIES}')
        read: list[str] = []
        wrong: list[Violation] = []
        for index, each in enumerate(value):
            try:
                read.append(self._one.read(each))
            except ValueRefused as error:
                wrong += (replace(v, path=f'/{index}{v.path}') for v in error.violations)
        if wrong:
            raise ValueRefused(*wrong)
        return tuple(read)

    def schema(self) -> dict[str, Any]:
        """Tell both forms."""
        one = self._one.schema()
        several = {'type': 'array', 'items': one, 'minItems': 1, 'maxItems': MAX_ENTITIES}
        return {'anyOf': [one, several]}


@dataclass(frozen=True, kw_only=True)
class OfGroupStart(WaitsForEnd, MadeOnce):
    """Takes how long a client waits for the end of all, and the name of its request."""


@dataclass(frozen=True, kw_only=True)
class GroupStartBody(StartOptions):
    """What a client says to execute a script on several entities."""

    script: str = member(SearchText())
    entities: tuple[str, ...] = member(Entities())
    execution_type: OnlyNow = optional(Choice(OnlyNow), default=OnlyNow.NOW)
    parameters: Mapping[str, Any] = optional(PARAMETERS, default={})
    arguments: tuple[str, ...] = optional(ARGUMENTS, default=())
    max_parallel: int | None = optional(Integer(1, MAX_PARALLEL), default=None)

    def wish(self) -> GroupRequest:
        """Return the wish that it makes."""
        return GroupRequest(
            script=self.script,
            entities=self.entities,
            start=self.request(
                ExecutionType.NOW, parameters=self.parameters, arguments=self.arguments
            ),
            max_parallel=self.max_parallel,
        )


async def start_group(call: Call[OfGroupStart, GroupStartBody]) -> Answer:
    """Execute a script on several entities.

    What is answered is the parent of these executions. It ends when all of them have ended, and
    `Prefer: wait=10` has that waited for as in a start.
    """
    answer_at = call.services.clock.monotonic() + (call.at.wait_sec or 0)
    wish, services = call.body.wish(), call.services
    made = await started_once(
        call,
        lambda key: services.executions.start_group(
            replace(wish, start=replace(wish.start, key=key)),
            services.directory,
            actor=call.actor,
        ),
    )
    answer = await started_or_ended(call, made.resource, answer_at, _started)
    return replace(answer, replayed=made.replayed)


async def _started(call: Call[Any, Any], execution: Execution) -> Answer:
    href = execution_href(call.base, execution)
    children = await call.services.questions.children_of(execution)
    skipped = [] if execution.group is None else skipped_of(execution.group)
    body = {
        'id': execution.id,
        'status': execution.status.value,
        'href': href,
        'children': shown_counts(children),
        'skipped': skipped,
    }
    return Answer(body=body, location=href)
