# SPDX-License-Identifier: Apache-2.0
"""Handlers of instances of scripts, and what their routes take."""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass, replace
import enum
from typing import Any

from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.errors import InvalidParameter
from gateway_node.http_server.executions import answer_start, WaitsForEnd
from gateway_node.http_server.fields import Choice, Field, refused, Text
from gateway_node.http_server.instance_answers import instance_detail, instance_summary
from gateway_node.http_server.once import made_once, MadeOnce
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.representations import Json, listing
from gateway_node.http_server.start_bodies import Confirmation
from gateway_node.http_server.subjects import find_entity, OfScript
from gateway_node.http_server.takes import member, optional, path
from gateway_node.scripts.errors import InstanceRefused, ScriptNotFound
from gateway_node.scripts.instances import instance_name_fault, INSTANCE_NAME_PATTERN
from gateway_node.triggers.values import Instance

Document = Mapping[str, Any]


class InstanceName(Field[str]):
    """What an instance may be called."""

    def read(self, value: object) -> str:
        """Return the name."""
        fault = instance_name_fault(value)
        if fault is not None or not isinstance(value, str):
            raise refused(fault or '')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the form of a name."""
        return {'type': 'string', 'pattern': f'^{INSTANCE_NAME_PATTERN}$'}


@dataclass(frozen=True, kw_only=True)
class OfInstanceList(OfScript, OfKnown):
    """Takes a script, and what a client has of the list of its instances."""


@dataclass(frozen=True, kw_only=True)
class OfNewInstance(OfScript, MadeOnce):
    """Takes a script, and the name of the request that makes an instance of it."""


@dataclass(frozen=True, kw_only=True)
class OfInstance(OfScript):
    """Takes an instance of a script."""

    instance: str = path(InstanceName())

    @property
    def ref(self) -> InstanceRef:
        """What the path names."""
        return InstanceRef(entity=self.entity, script_id=self.script_id, name=self.instance)


@dataclass(frozen=True, kw_only=True)
class OfInstanceStart(OfInstance, MadeOnce, WaitsForEnd):
    """Takes an instance that is started, and how long a client waits for the end."""


class NowOnly(enum.Enum):
    """When an instance that is started by hand runs."""

    NOW = 'now'
    """At once."""


@dataclass(frozen=True, kw_only=True)
class InstanceStartBody:
    """What a client says to start an instance by hand; what it is given, the instance says."""

    execution_type: NowOnly = optional(Choice(NowOnly), default=NowOnly.NOW)
    confirmed: Confirmed = optional(Confirmation(), default=False)
    proximity_response: str | None = optional(Text(), default=None)


class InstanceAction(enum.Enum):
    """What may be done with an instance."""

    STOP = 'stop'
    """End its open execution."""
    ENABLE = 'enable'
    """Have its triggers fire."""
    DISABLE = 'disable'
    """Have its triggers fire no more."""


@dataclass(frozen=True, kw_only=True)
class InstanceActionBody:
    """What a client says to do something with an instance."""

    action: InstanceAction = member(Choice(InstanceAction))


async def find_instances(call: Call[OfScript, Any]) -> None:
    """Raise EntityNotFound; ScriptsTurnedOff; ScriptNotFound where there is no such script.

    One of the manifest may be away for a while: its instances stay.
    """
    await find_entity(call)
    at, services = call.at, call.services
    try:
        await services.library.check_known(at.entity, at.script_id)
    except ScriptNotFound:
        sees = call.actor.scope.has_script(at.entity, at.script_id, name=None, tags=())
        if not sees or not services.instances.book.of(at.entity, at.script_id):
            raise


async def find_instance(call: Call[OfInstance, Any]) -> None:
    """Raise what `find_instances` raises; InstanceNotFound."""
    await find_instances(call)
    call.services.instances.book.get(call.at.ref)


async def list_instances(call: Call[OfInstanceList, None]) -> Answer:
    """List the instances of a script, by name."""
    at, instances = call.at, call.services.instances
    found = instances.book.of(at.entity, at.script_id)
    items = (instance_summary(call.base, each, instances.runs.open_id(each.ref)) for each in found)
    return Answer(body=listing(items), asked=at)


async def create_instance(call: Call[OfNewInstance, Document]) -> Answer:
    """Make an instance of a script.

    It has a name, what the script is given, and the triggers that start and stop it. All that is
    wrong is told at once. What its triggers start, they start as who made it.
    """
    at, instances = call.at, call.services.instances

    async def find(name: str) -> Instance:
        return instances.book.get(InstanceRef(entity=at.entity, script_id=at.script_id, name=name))

    with _refused_body():
        made = await made_once(
            call,
            call.body if at.idempotency_key is not None else {},
            lambda key: instances.create(
                at.entity, at.script_id, call.body, actor=call.actor, key=key
            ),
            find,
        )
    body = await _detail(call, made.resource)
    return Answer(body=body, location=body['href'], replayed=made.replayed)


async def show_instance(call: Call[OfInstance, None]) -> Answer:
    """Show an instance: what it is, what each of its conditions is now, and what runs.

    `fault` says why its script would not take it as things are.
    """
    return await _answer(call, call.services.instances.book.get(call.at.ref))


async def replace_instance(call: Call[OfInstance, Document]) -> Answer:
    """Replace an instance.

    What the body does not say is so by default, but for `enabled`, which stays. Its open execution
    goes on, and is outdated.
    """
    with _refused_body():
        instance = await call.services.instances.replace(call.at.ref, call.body, actor=call.actor)
    return await _answer(call, instance)


async def delete_instance(call: Call[OfInstance, None]) -> Answer:
    """Remove an instance; its executions stay."""
    await call.services.instances.delete(call.at.ref, actor=call.actor)
    return Answer()


async def start_instance(call: Call[OfInstanceStart, InstanceStartBody]) -> Answer:
    """Start an instance by hand, enabled or not; of each one execution is open at a time.

    It is answered, and waited for, as any start.
    """
    ref, body = call.at.ref, call.body
    return await answer_start(
        call,
        lambda key: call.services.instances.runs.start(
            ref,
            actor=call.actor,
            confirmed=body.confirmed,
            proximity_response=body.proximity_response,
            key=key,
        ),
    )


async def act_on_instance(call: Call[OfInstance, InstanceActionBody]) -> Answer:
    """Stop the open execution of an instance, or have its triggers fire or not.

    Disabled, it runs on. The end of what is stopped is waited for a second.
    """
    ref, instances = call.at.ref, call.services.instances
    if call.body.action is InstanceAction.STOP:
        await instances.runs.stop(ref, actor=call.actor)
        return await _answer(call, instances.book.get(ref))
    enabled = call.body.action is InstanceAction.ENABLE
    return await _answer(call, await instances.set_enabled(ref, enabled, actor=call.actor))


async def _answer(call: Call[OfInstance, Any], instance: Instance) -> Answer:
    return Answer(body=await _detail(call, instance))


async def _detail(call: Call[Any, Any], instance: Instance) -> Json:
    instances = call.services.instances
    fault = await instances.fault(instance)
    return instance_detail(
        call.base,
        instance,
        instances.runs.open_id(instance.ref),
        fault=fault,
        states=call.services.triggers.shown(instance.ref),
    )


@contextlib.contextmanager
def _refused_body() -> Iterator[None]:
    """Tell what is wrong with a document as what is wrong with the body of the request."""
    try:
        yield
    except InstanceRefused as error:
        raise InvalidParameter(
            str(error),
            tuple(replace(each, path=f'/body{each.path}') for each in error.violations),
        ) from error
