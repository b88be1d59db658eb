# SPDX-License-Identifier: Apache-2.0
"""The room of executions, assembled: for the gateway as for the tests of it."""

from dataclasses import dataclass
import secrets

from gateway_node.executions.event_pages import EventPages
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.many import Many
from gateway_node.executions.once_only import OnceOnly
from gateway_node.executions.questions import Questions
from gateway_node.executions.room_parts import Outside, Parts
from gateway_node.executions.scanned_statistics import Statistics
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.executions.service import ExecutionService
from gateway_node.executions.streams import Streams


@dataclass(frozen=True, kw_only=True)
class ExecutionRoom:
    """What the other rooms have of this one."""

    ledger: Ledger
    service: ExecutionService
    questions: Questions
    script_changes: ScriptChanges
    once_only: OnceOnly
    many: Many
    statistics: Statistics
    event_pages: EventPages
    streams: Streams


def execution_room(
    outside: Outside, *, last_id: str | None, fingerprint_key: bytes | None = None
) -> ExecutionRoom:
    """Make the room of what it has from outside; `last_id` is the store's.

    `fingerprint_key` is for hashes of what was asked for, which the store keeps; without, each
    room has another one. Nothing runs yet: `ScriptChanges.open` and `ExecutionService.open`
    follow.
    """
    store = outside.store
    ledger = Ledger(store)
    parts = Parts(outside, ledger, ExecutionIds(last_id))
    questions = parts.questions
    service = ExecutionService(parts, outside)
    script_changes = ScriptChanges(
        library=outside.library,
        executions=service,
        store=store,
        ledger=ledger,
        free_space=outside.free_space,
        guard=outside.guard,
    )
    streams = Streams(
        log=store.log, outputs=outside.runner.outputs, questions=questions, clock=outside.clock
    )
    ledger.add_listener(streams)
    ledger.add_progress_listener(streams)
    return ExecutionRoom(
        ledger=ledger,
        service=service,
        questions=questions,
        script_changes=script_changes,
        once_only=OnceOnly(store.keys, fingerprint_key or secrets.token_bytes(32)),
        many=Many(service, questions),
        statistics=Statistics(store, outside.clock),
        event_pages=EventPages(store),
        streams=streams,
    )
