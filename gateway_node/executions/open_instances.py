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

    def check(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Return where no other execution of the instance is open; InstanceAlreadyRunning."""
        if ref is None:
            return
        for other_id, other in self._refs.items():
            if other == ref and other_id != execution_id:
                raise InstanceAlreadyRunning(ref.name, other_id)

    def take(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Count an execution as the one of its instance; InstanceAlreadyRunning."""
        self.check(ref, execution_id)
        self.give(ref, execution_id)

    def give(self, ref: InstanceRef | None, execution_id: str) -> None:
        """Count what is accepted: where it follows one that failed, that may be open yet."""
        if ref is not None:
            self._refs[execution_id] = ref

    def open_of(self, ref: InstanceRef) -> str | None:
        """Return the id of the open execution of an instance, the newest one; None without."""
        return max((each for each, other in self._refs.items() if other == ref), default=None)

    def leave(self, execution_id: str) -> None:
        """Count an execution no more; harmless where it is of no instance."""
        self._refs.pop(execution_id, None)
