# SPDX-License-Identifier: Apache-2.0
"""Which executions of instances are open."""

from collections.abc import Iterable

from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.instance_refs import instance_of, InstanceRef
from gateway_node.executions.values import Execution


class RunningInstances:
    """Follows what the ledger tells."""

    def __init__(self) -> None:
        self._open: dict[InstanceRef, list[str]] = {}
        self._ended: set[str] | None = set()
        """Of those that `open` may still name; None once it was called."""

    def of(self, ref: InstanceRef) -> tuple[str, ...]:
        """Return the ids of the open executions of an instance; at most one of them runs."""
        return tuple(self._open.get(ref, ()))

    def take(self, event: Event, execution: Execution) -> None:
        """Take an event of an execution of an instance."""
        ref = instance_of(execution)
        if ref is None:
            return
        if execution.is_open:
            self._add(ref, execution.id)
        elif event.kind is EventKind.EXECUTION_ENDED:
            if self._ended is not None:
                self._ended.add(execution.id)
            left = [each for each in self._open.get(ref, ()) if each != execution.id]
            if left:
                self._open[ref] = left
            else:
                self._open.pop(ref, None)

    def open(self, executions: Iterable[Execution]) -> None:
        """Take those that were open a moment ago."""
        ended = self._ended or ()
        self._ended = None
        for execution in executions:
            ref = instance_of(execution)
            if ref is not None and execution.id not in ended:
                self._add(ref, execution.id)

    def _add(self, ref: InstanceRef, execution_id: str) -> None:
        known = self._open.setdefault(ref, [])
        if execution_id not in known:
            known.append(execution_id)
