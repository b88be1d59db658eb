# SPDX-License-Identifier: Apache-2.0
"""What the path of a route names, and the look-up of it before a byte of the body is read."""

from dataclasses import dataclass
from typing import Any

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.http_server.calls import Call
from gateway_node.http_server.fields import Choice, Id
from gateway_node.http_server.takes import path

ID = Id()


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Takes nothing."""


@dataclass(frozen=True, kw_only=True)
class ByEntityId:
    """Takes the id of an app, or of a component: the path says of which."""

    entity_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class ByAreaId:
    """Takes the id of an area."""

    area_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class ByFunctionId:
    """Takes the id of a function."""

    function_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class OfEntity:
    """Takes an app or a component."""

    collection: EntityType = path(Choice(EntityType))
    entity_id: str = path(ID)

    @property
    def entity(self) -> EntityRef:
        """What the path names."""
        return EntityRef(entity_type=self.collection, entity_id=self.entity_id)


@dataclass(frozen=True, kw_only=True)
class OfScript(OfEntity):
    """Takes a script of an entity."""

    script_id: str = path(ID)


@dataclass(frozen=True, kw_only=True)
class OfExecution(OfScript):
    """Takes an execution of a script."""

    execution_id: str = path(ID)


async def find_entity(call: Call[OfEntity, Any]) -> None:
    """Raise EntityNotFound where there is no such entity."""
    call.services.directory.entity(call.at.entity)


async def find_scripts(call: Call[OfEntity, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff."""
    await find_entity(call)
    call.services.library.check_turned_on()


async def find_script(call: Call[OfScript, Any]) -> None:
    """Raise EntityNotFound; what `ScriptLibrary.get` raises."""
    await find_entity(call)
    await call.services.library.get(call.at.entity, call.at.script_id)


async def find_execution(call: Call[OfExecution, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff; what `ExecutionService.get` raises."""
    await find_scripts(call)
    at = call.at
    await call.services.executions.get(at.entity, at.script_id, at.execution_id)
