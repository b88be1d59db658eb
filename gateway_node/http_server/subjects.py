# SPDX-License-Identifier: Apache-2.0
"""What the path of a route names, and the look-up of it before a byte of the body is read."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway_node.entities.errors import EntityNotFound
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.ended_details import Detail
from gateway_node.executions.errors import BeyondScope, ExecutionNotFound
from gateway_node.executions.questions import Questions
from gateway_node.executions.values import Execution
from gateway_node.http_server.calls import Call
from gateway_node.http_server.fields import ExecutionId, Id, Segment
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.takes import path

ID = Id()


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Takes nothing."""


@dataclass(frozen=True, kw_only=True)
class ByEntityId(OfKnown):
    """Takes the id of an app, or of a component: the path says of which."""

    entity_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class ByAreaId(OfKnown):
    """Takes the id of an area."""

    area_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class ByFunctionId(OfKnown):
    """Takes the id of a function."""

    function_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class OfEntity:
    """Takes an app or a component."""

    collection: EntityType = path(Segment(EntityType))
    entity_id: str = path(ID)

    @cached_property
    def entity(self) -> EntityRef:
        """What the path names."""
        return EntityRef(entity_type=self.collection, entity_id=self.entity_id)


@dataclass(frozen=True, kw_only=True)
class OfScript(OfEntity):
    """Takes a script of an entity."""

    script_id: str = path(ID)


class NamesExecution(ABC):
    """Takes an execution."""

    @abstractmethod
    async def execution(self, questions: Questions) -> Execution:
        """Return it as it is; raises what `Questions.get` raises."""

    @abstractmethod
    async def detail(self, questions: Questions) -> Detail:
        """Return all that is shown of it; raises what `Questions.get` raises."""


@dataclass(frozen=True, kw_only=True)
class OfExecution(OfScript, NamesExecution):
    """Takes an execution of a script."""

    execution_id: str = path(ID)

    async def execution(self, questions: Questions) -> Execution:
        """Return the execution; ExecutionNotFound also where the script has no such one."""
        return await questions.get(self.entity, self.script_id, self.execution_id)

    async def detail(self, questions: Questions) -> Detail:
        """Return what is shown of it; ExecutionNotFound also where the script has no such one."""
        return await questions.detail(self.entity, self.script_id, self.execution_id)


@dataclass(frozen=True, kw_only=True)
class ByExecutionId(NamesExecution):
    """Takes an execution, whatever it is of."""

    execution_id: str = path(ExecutionId())

    async def execution(self, questions: Questions) -> Execution:
        """Return the execution; ExecutionNotFound."""
        return await questions.get_by_id(self.execution_id)

    async def detail(self, questions: Questions) -> Detail:
        """Return all that is shown of the execution; ExecutionNotFound."""
        return await questions.detail_by_id(self.execution_id)


async def find_entity(call: Call[OfEntity, Any]) -> None:
    """Raise EntityNotFound where there is no such entity."""
    call.services.directory.check(call.at.entity)


async def find_scripts(call: Call[OfEntity, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff."""
    await find_entity(call)
    call.services.library.check_turned_on()


async def find_script(call: Call[OfScript, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff; ScriptNotFound."""
    await find_entity(call)
    await call.services.library.check_known(call.at.entity, call.at.script_id)


async def find_way(call: Call[OfExecution, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff.

    A group may be seen although the host, which it is below, is not.
    """
    try:
        await find_scripts(call)
    except EntityNotFound:
        if call.at.entity != call.services.directory.host():
            raise
        call.services.library.check_turned_on()
        await _find_below_host(call)


async def _find_below_host(call: Call[OfExecution, Any]) -> None:
    try:
        await call.at.execution(call.services.questions)
    except ExecutionNotFound as error:
        raise EntityNotFound(call.at.entity) from error


async def find_execution(call: Call[OfExecution, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff; what `Questions.get` raises."""
    await find_way(call)
    await call.at.execution(call.services.questions)


async def find_library(call: Call[Any, Any]) -> None:
    """Raise ScriptsTurnedOff."""
    call.services.library.check_turned_on()


async def find_all(call: Call[Any, Any]) -> None:
    """Raise BeyondScope where who asks does not see everything."""
    if not call.actor.scope.is_everything:
        raise BeyondScope('this is about all entities; needed: a credential that is not narrowed')


async def find_line(call: Call[Any, Any]) -> None:
    """Raise ScriptsTurnedOff; BeyondScope: in the one line stands what is of any entity."""
    await find_library(call)
    await find_all(call)


async def find_by_id(call: Call[ByExecutionId, Any]) -> None:
    """Raise ScriptsTurnedOff; what `Questions.get_by_id` raises."""
    await find_library(call)
    await call.at.execution(call.services.questions)
