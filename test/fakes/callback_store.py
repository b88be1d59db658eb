# SPDX-License-Identifier: Apache-2.0
"""A store of callbacks in memory, beside the executions of another one."""

from fakes.execution_store import InMemoryExecutionStore
from gateway_node.callbacks.values import Callback, CallbackStatus
from gateway_node.clock import Clock


class InMemoryCallbackStore:
    """A `CallbackStore` that forgets everything with the process."""

    def __init__(self, executions: InMemoryExecutionStore, clock: Clock) -> None:
        self._executions = executions
        self._clock = clock
        self._kept: dict[str, Callback] = {}

    def up_sec(self) -> float:
        """Return the seconds of the clock."""
        return self._clock.monotonic()

    async def get(self, execution_id: str) -> Callback | None:
        """Return the callback of an execution; None where it has none, or is not kept."""
        execution = await self._executions.get(execution_id)
        if execution is None or execution.callback is None:
            return None
        new = Callback(execution_id=execution_id, url=execution.callback)
        return self._kept.get(execution_id, new)

    async def undelivered(self) -> tuple[Callback, ...]:
        """Return the callbacks that wait although their executions have ended, oldest first."""
        found = [await self.get(each) for each in self._executions.ended_ids()]
        return tuple(each for each in found if each and each.status is CallbackStatus.WAITING)

    async def keep(self, callback: Callback) -> None:
        """Keep where a callback stands now, if it is kept at all."""
        if await self.get(callback.execution_id) is not None:
            self._kept[callback.execution_id] = callback
