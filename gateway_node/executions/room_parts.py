# SPDX-License-Identifier: Apache-2.0
"""The parts of the room of executions, made and tied to each other.

What one of them has to tell another that is made later goes through here; nothing is served.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.active_groups import ActiveGroups
from gateway_node.executions.actors import Actor
from gateway_node.executions.admission import Admission
from gateway_node.executions.ended_details import EndedDetails
from gateway_node.executions.families import Families
from gateway_node.executions.further_attempts import FurtherAttempts
from gateway_node.executions.group_starts import GroupStarts
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.kept_entities import KeptEntities
from gateway_node.executions.kept_versions import versions_to_keep
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.line import Line
from gateway_node.executions.line_control import LineControl
from gateway_node.executions.looked_starts import LookedStarts
from gateway_node.executions.places import GroupLimit
from gateway_node.executions.ports import (
    Archive,
    CallbackCheck,
    EntityGuard,
    FreeSpace,
    InstanceVersions,
    NoInstances,
    NoScriptCredentials,
    NoWitness,
    ScriptCredentials,
    Witness,
)
from gateway_node.executions.preconditions import NoPreconditionCheck, PreconditionCheck
from gateway_node.executions.proximity import NoProximityCheck, ProximityCheck
from gateway_node.executions.questions import Questions
from gateway_node.executions.readiness import Readiness
from gateway_node.executions.retention import Retention
from gateway_node.executions.runner_ports import ScriptRunner
from gateway_node.executions.schedules import Schedules
from gateway_node.executions.settings import ExecutionSettings
from gateway_node.executions.start_places import StartPlaces
from gateway_node.executions.starts import Starts
from gateway_node.executions.stops import Stops
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution, Executor
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.ports import SchemaChecker


class _Open:
    """An `EntityGuard` that keeps nobody out."""

    def check(self, entity: EntityRef | None, actor: Actor) -> None:
        """Return."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What the room has from outside: the scripts, what its ports are, and how it is set."""

    library: ScriptLibrary
    schemas: SchemaChecker
    store: ExecutionStore
    runner: ScriptRunner
    free_space: FreeSpace
    clock: Clock
    executor: Executor
    settings: ExecutionSettings
    check_callback: CallbackCheck
    proximity: ProximityCheck = field(default_factory=NoProximityCheck)
    credentials: ScriptCredentials = field(default_factory=NoScriptCredentials)
    archive: Archive | None = None
    """None where what is removed from the history is not archived."""
    guard: EntityGuard = field(default_factory=_Open)
    witness: Witness = field(default_factory=NoWitness)
    preconditions: PreconditionCheck = field(default_factory=NoPreconditionCheck)
    instances: InstanceVersions = field(default_factory=NoInstances)

    @property
    def starts_prepared(self) -> bool:
        """Whether what was accepted and has not started is left to the next gateway."""
        return self.settings.restarts.start_prepared and self.library.turned_on


class Parts:
    """All of them; nothing runs yet."""

    def __init__(self, outside: Outside, ledger: Ledger, ids: ExecutionIds) -> None:
        store, clock = outside.store, outside.clock
        self._outside = outside
        self.ledger = ledger
        self._ids = ids
        self.held_scripts = HeldScripts(outside.runner)
        line = Line(
            outside.settings.concurrency,
            outside.settings.line,
            self.held_scripts,
            clock.monotonic,
        )
        self.admission, self.readiness = self._entrance(line)
        self.entities = KeptEntities(store)
        self.retention = self._history()
        self.further_attempts = FurtherAttempts(
            admission=self.admission, ids=ids, clock=clock, up_sec=store.up_sec
        )
        self.active = self._active_executions()
        self.families = Families(self.active)
        self.groups = ActiveGroups(
            store=store, ledger=ledger, families=self.families, clock=clock, on_end=self._on_end
        )
        ledger.add_listener(self.groups)
        self.schedules = Schedules(
            library=outside.library,
            admission=self.admission,
            active=self.active,
            ledger=ledger,
            ids=ids,
            clock=clock,
            settings=outside.settings.restarts,
        )
        self.starts = self._starts(line)
        self.group_starts = self._group_starts()
        self.questions = self._questions(line)
        self.line = LineControl(
            line=line, active=self.active, ledger=ledger, store=store, guard=outside.guard
        )
        self.stops = Stops(
            active=self.active,
            groups=self.groups,
            schedules=self.schedules,
            families=self.families,
            questions=self.questions,
        )

    async def versions_to_keep(self, script_id: str) -> Container[str]:
        """Return the versions of a script that open executions need, or that kept ones name."""
        # What is let in is on record before it leaves: it is in the one or in the other.
        needed = self.admission.versions_in_use(script_id)
        return await versions_to_keep(self._outside.store, script_id, needed=needed)

    def _entrance(self, line: Line) -> tuple[Admission, Readiness]:
        """Return what lets executions in, and what tells whether it would."""
        outside = self._outside
        places = StartPlaces(
            line,
            max_schedules=outside.settings.restarts.max_schedules,
            max_open_per_identity=outside.settings.max_open_per_identity,
        )
        looked = LookedStarts(outside.preconditions, outside.clock.monotonic)
        admission = Admission(
            library=outside.library,
            schemas=outside.schemas,
            runner=outside.runner,
            ledger=self.ledger,
            free_space=outside.free_space,
            places=places,
            up_sec=outside.store.up_sec,
            settings=outside.settings,
            proximity=outside.proximity,
            looked=looked,
        )
        readiness = Readiness(
            runner=outside.runner,
            free_space=outside.free_space,
            places=places,
            guard=outside.guard,
            proximity=outside.proximity,
            looked=looked,
        )
        return admission, readiness

    def _history(self) -> Retention:
        outside = self._outside
        return Retention(
            store=outside.store,
            ledger=self.ledger,
            runner=outside.runner,
            policy=outside.settings.retention,
            log_policy=outside.settings.log,
            on_removed=self._on_removed,
            other_bytes=lambda: outside.library.versions.old_bytes,
            archive=outside.archive,
        )

    def _active_executions(self) -> ActiveExecutions:
        outside = self._outside
        return ActiveExecutions(
            admission=self.admission,
            runner=outside.runner,
            ledger=self.ledger,
            clock=outside.clock,
            executor=outside.executor,
            credentials=outside.credentials,
            witness=outside.witness,
            preconditions=outside.preconditions,
            held_scripts=self.held_scripts,
            start_prepared=outside.starts_prepared,
            group_of=self._group_of,
            further_attempts=self.further_attempts,
            on_end=self._on_end,
            on_lost=self._on_lost,
        )

    def _starts(self, line: Line) -> Starts:
        outside = self._outside
        return Starts(
            admission=self.admission,
            active=self.active,
            families=self.families,
            schedules=self.schedules,
            line=line,
            ledger=self.ledger,
            ids=self._ids,
            clock=outside.clock,
            up_sec=outside.store.up_sec,
            check_callback=outside.check_callback,
            guard=outside.guard,
        )

    def _group_starts(self) -> GroupStarts:
        outside = self._outside
        return GroupStarts(
            library=outside.library,
            admission=self.admission,
            active=self.active,
            groups=self.groups,
            ledger=self.ledger,
            ids=self._ids,
            clock=outside.clock,
            up_sec=outside.store.up_sec,
            check_callback=outside.check_callback,
            guard=outside.guard,
        )

    def _questions(self, line: Line) -> Questions:
        outside = self._outside
        details = EndedDetails()
        self.ledger.add_listener(details)
        return Questions(
            library=outside.library,
            store=outside.store,
            runner=outside.runner,
            ids=self._ids,
            active=self.active,
            groups=self.groups,
            schedules=self.schedules,
            details=details,
            positions=line.positions,
            instances=outside.instances,
        )

    def _group_of(self, execution: Execution) -> GroupLimit | None:
        return self.groups.limit_of(execution)

    def _on_end(self, execution: Execution) -> None:
        if execution.is_open and execution.is_schedule:
            self.schedules.add([execution])
        self.retention.request_sweep()

    def _on_lost(self, active: ActiveExecution) -> None:
        self.families.lose_below(active.id)

    async def _on_removed(self, script_ids: frozenset[str]) -> None:
        await self._outside.library.versions.prune(script_ids, self.versions_to_keep)
        await self.entities.read()
