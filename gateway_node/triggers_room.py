# SPDX-License-Identifier: Apache-2.0
"""The room of triggers, made of what it needs."""

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway_node.access.lock_book import LockBook
from gateway_node.adapters import Adapters
from gateway_node.clock import Clock
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.room import ExecutionRoom
from gateway_node.ros.configuration import Configuration
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.storage.instance_store import SqliteInstanceStore
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances, InstanceSettings
from gateway_node.triggers.looks import Preconditions
from gateway_node.triggers.ports import RobotValues
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Watches

if TYPE_CHECKING:
    from gateway_node.conditions.values import Precondition


@dataclass(frozen=True, kw_only=True)
class WatchedRobot:
    """What watches the robot, for whoever has conditions on it."""

    turns: Turns
    watches: Watches
    timers: Timers
    preconditions: Preconditions


def watched_robot(
    robot: RobotValues, book: InstanceBook, clock: Clock, undo: contextlib.AsyncExitStack
) -> WatchedRobot:
    """Return it; it watches nothing yet, and `undo` has it watch nothing more."""

    def preconditions_of(ref: InstanceRef) -> 'Sequence[Precondition]':
        instance = book.find(ref)
        return () if instance is None else instance.definition.preconditions

    turns = Turns()
    timers = Timers(clock.monotonic, turns)
    undo.callback(timers.close)
    watches = Watches(robot, turns)
    preconditions = Preconditions(
        watches=watches,
        timers=timers,
        monotonic=clock.monotonic,
        of_instance=preconditions_of,
    )
    undo.callback(preconditions.close)
    return WatchedRobot(turns=turns, watches=watches, timers=timers, preconditions=preconditions)


def instances_of(
    book: InstanceBook,
    lock_book: LockBook,
    configuration: Configuration,
    adapters: Adapters,
    library: ScriptLibrary,
    executions: ExecutionRoom,
) -> Instances:
    """Return what changes the instances of a book, those of deleted scripts included."""
    triggers = configuration.triggers
    instances = Instances(
        book=book,
        library=library,
        executions=executions.service,
        ledger=executions.ledger,
        store=SqliteInstanceStore(adapters.database),
        guard=lock_book,
        clock=adapters.clock,
        settings=InstanceSettings(
            max_instances=triggers.max_instances, max_rate_hz=triggers.max_rate_hz
        ),
    )
    executions.script_changes.on_deleted(instances.script_deleted)
    return instances


def triggers_of(
    instances: Instances, adapters: Adapters, executions: ExecutionRoom, watched: WatchedRobot
) -> Triggers:
    """Return what starts and stops instances by what is read of the robot, once it is open."""
    return Triggers(
        instances=instances,
        executions=executions.service,
        ledger=executions.ledger,
        store=SqliteInstanceStore(adapters.database),
        turns=watched.turns,
        watches=watched.watches,
        timers=watched.timers,
        clock=adapters.clock,
        records=adapters.store,
    )
