# SPDX-License-Identifier: Apache-2.0
"""The executions of instances that are open, those in line and those that are being let in among
them: an instance has one at a time."""

from gateway_node.executions.errors import InstanceAlreadyRunning
from gateway_node.executions.instance_refs import InstanceRef


class OpenInstances:
    """Which instance each is of."""

    def __init__(self) -> None:
        self._refs: dict[str, InstanceRef] = {}
        """By the ids of the executions."""
        self._ids: dict[InstanceRef, set[str]] = {}

    def check(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Return where no other execution of the instance is open; InstanceAlreadyRunning."""
        if ref is None:
            return
        others = self._ids.get(ref, set()) - {execution_id}
        if others:
            raise InstanceAlreadyRunning(ref.name, min(others))

    def take(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Count an execution as the one of its instance; InstanceAlreadyRunning."""
        self.check(ref, execution_id)
        self.give(ref, execution_id)

    def give(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Count what is accepted: where it follows one that failed, that may be open yet."""
        if ref is not None:
            self._refs[execution_id] = ref
            self._ids.setdefault(ref, set()).add(execution_id)

    def open_of(self, ref: InstanceRef) -> str | None:
        """Return the id of the open execution of an instance, the newest one; None without."""
        return max(self._ids.get(ref, ()), default=None)

    def leave(self, execution_id: str) -> None:
        """Count an execution no more; harmless where it is of no instance."""
        ref = self._refs.pop(execution_id, None)
        if ref is None:
            return
        ids = self._ids[ref]
        ids.remove(execution_id)
        if not ids:
            del self._ids[ref]
