# SPDX-License-Identifier: Apache-2.0
"""What runs of instances: started by hand or by a trigger, and stopped."""

from gateway_node.executions.actors import Actor
from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.errors import ExecutionNotFound, ExecutionNotStoppable
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.values import Execution, StopAction, Trigger
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.triggers.errors import InstanceNotRunning
from gateway_node.triggers.instance_book import InstanceBook


class InstanceRuns:
    """Starts and stops the instances of a book."""

    def __init__(
        self, *, book: InstanceBook, library: ScriptLibrary, executions: ExecutionService
    ) -> None:
        self._book = book
        self._library = library
        self._executions = executions

    async def start(
        self,
        ref: InstanceRef,
        *,
        actor: Actor,
        trigger: Trigger | None = None,
        queue: bool = True,
        confirmed: Confirmed = False,
        proximity_response: str | None = None,
        key: IdempotencyKey | None = None,
    ) -> Execution:
        """Start an instance: by hand, or because of a trigger, as who made it.

        Raises InstanceNotFound, and what `ExecutionService.start` raises.
        """
        instance = self._book.get(ref)
        if trigger is not None:
            script = await self._library.get(ref.entity, ref.script_id)
            confirmed = script.confirmation in (None, instance.confirmation)
        request = instance.start_request(
            trigger,
            queue=queue,
            confirmed=confirmed,
            proximity_response=proximity_response,
            key=key,
        )
        return await self._executions.start(ref.entity, ref.script_id, request, actor=actor)

    async def stop(self, ref: InstanceRef, *, actor: Actor) -> Execution:
        """Stop the open execution of an instance, as `ExecutionService.stop` does.

        Raises:
            InstanceNotFound, EntityLocked, StoreUnavailable: as their names say.
            InstanceNotRunning: there is no such execution, or it is only being let in, or it has
                ended meanwhile.
        """
        self._book.get(ref)
        open_id = self._executions.open_of_instance(ref)
        if open_id is None:
            raise InstanceNotRunning(ref)
        try:
            return await self._executions.stop(
                ref.entity, ref.script_id, open_id, StopAction.STOP, actor=actor
            )
        except (ExecutionNotFound, ExecutionNotStoppable) as error:
            # Its start is not on record yet, or its end is.
            raise InstanceNotRunning(ref) from error

    def open_id(self, ref: InstanceRef) -> str | None:
        """Return the id of the open execution of an instance, if there is one."""
        return self._executions.open_of_instance(ref)
