# SPDX-License-Identifier: Apache-2.0
"""The one entrance: whatever is to run is checked here, and waits here for its place.

A client's start is refused where something is amiss, before anything is recorded. What is
recorded already (the execution of a schedule, what an earlier gateway left) is accepted: it waits,
in the version of its script in which it was accepted, and what is amiss for good ends it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
import contextlib
from dataclasses import dataclass
import logging
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import (
    FeatureNotAvailable,
    GatewayShuttingDown,
    NotStartable,
    RunnerUnavailable,
    StoreUnavailable,
    TimeoutTooLong,
)
from gateway_node.executions.events import EventKind, execution_subject, Happening
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.line import Line, SchedulePlaces
from gateway_node.executions.places import Place
from gateway_node.executions.ports import FreeSpace, ScriptRunner, StartOrder
from gateway_node.executions.settings import ExecutionSettings
from gateway_node.executions.start_checks import StartChecks
from gateway_node.executions.values import Execution, FailureReason
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.values import Script

_log = logging.getLogger(__name__)

_CHECKED_SEC = 0.05
"""Checks that take no longer ask nobody whether a managed script's file is another by then: it may
be another the moment after, too."""
_ATTEMPTS = 30
_RETRY_SEC = 1.0
"""Between attempts to let in what the runner or the schema check refused for the moment."""


_TELL_PATIENCE_SEC = 0.5
"""How long who has to wait waits for the record of that."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What wants in."""

    execution_id: str
    entity: EntityRef
    script_id: str
    parameters: Mapping[str, Any]
    arguments: tuple[str, ...]
    timeout_sec: float | None
    """None: the script's own, or the gateway's default."""
    ancestors: tuple[str, ...] = ()
    """Ids of the executions whose scripts led to it, its parent first."""
    accepted: bool = False
    """Whether it is on record, and waits rather than being refused."""
    runs: bool = True
    """Whether it takes a place in the line; what becomes a schedule and nothing else does not."""
    schedule_id: str | None = None
    """The schedule that it becomes, or that comes with it; it takes a place of its own."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Its ids: of the execution, of the schedule, or of both."""
        return (self.execution_id, *([self.schedule_id] if self.schedule_id else []))


def accepted(execution: Execution) -> Candidate:
    """Return a recorded execution, or a schedule that becomes one, as a candidate."""
    return Candidate(
        execution_id=execution.id,
        entity=execution.entity,
        script_id=execution.script_id,
        parameters=execution.input_parameters,
        arguments=execution.arguments,
        timeout_sec=execution.timeout_sec,
        ancestors=execution.ancestors,
        accepted=True,
    )


class Admission:
    """Lets in; who was let in has a place, and the version of its script, until it leaves."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        schemas: SchemaChecker,
        runner: ScriptRunner,
        ledger: Ledger,
        free_space: FreeSpace,
        held_scripts: HeldScripts,
        clock: Clock,
        settings: ExecutionSettings,
    ) -> None:
        self._library = library
        self._runner = runner
        self._ledger = ledger
        self._free_space = free_space
        self._settings = settings
        self._checks = StartChecks(schemas, free_space)
        self._line = Line(settings.concurrency, settings.line, held_scripts, clock.monotonic)
        self._schedule_places = SchedulePlaces(settings.restarts.max_schedules)
        self._scripts: dict[str, Script] = {}
        self._queued: list[Candidate] = []
        self._telling: asyncio.Task[None] | None = None
        self._directory: EntityDirectory | None = None
        self._closed = False

    def open(self, directory: EntityDirectory) -> None:
        """Let in from now on; what is accepted waits for its entity in the directory."""
        self._directory = directory

    def close(self) -> None:
        """Let in nothing more but what is accepted; that is stopped by who drives it."""
        self._closed = True

    async def enter(self, candidate: Candidate) -> StartOrder:
        """Let a candidate in; return what is then to be started.

        It has its places then, and keeps the version of its script, until `leave`. Raised is, of
        what is accepted:

            NotStartable: there will be no start.

        And of what is not:

            GatewayShuttingDown, ScriptNotFound, ScriptsTurnedOff, RunnerUnavailable,
            DiskSpaceLow, SchemaCheckUnavailable, ScriptAlreadyRunning, ConcurrencyLimitReached,
            ScheduleLimitReached: as their names say.
            ParametersInvalid: the script does not take the parameters, or the arguments.
            TimeoutTooLong: the script, or the gateway, does not allow such a time limit.
            FeatureNotAvailable: the script's kind or its proof of proximity.
        """
        try:
            if candidate.accepted:
                with _refusals_end_it():
                    return await self._wait_in(candidate)
            return await self._walk_in(candidate)
        except BaseException:
            for each in candidate.ids:
                self.leave(each)
            raise

    async def accept(self, execution_id: str, entity: EntityRef, script_id: str) -> Script:
        """Keep the present version of a script for an execution, until `leave`; ScriptNotFound."""
        script = await self._library.get(entity, script_id)
        self._scripts[execution_id] = script
        return script

    def leave(self, execution_id: str) -> None:
        """Free what an execution, or a schedule, holds; harmless where that is nothing."""
        self._scripts.pop(execution_id, None)
        self._line.leave(execution_id)
        self._schedule_places.leave(execution_id)

    def restore_schedules(self, schedule_ids: Iterable[str]) -> None:
        """Give schedules of earlier gateways their places, however many there are."""
        self._schedule_places.restore(schedule_ids)

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that whoever is in, or is being let in, needs."""
        needed = self._scripts.values()
        return frozenset(script.version for script in needed if script.id == script_id)

    async def _walk_in(self, candidate: Candidate) -> StartOrder:
        """Let in what is not accepted yet, at once or not at all."""
        self._refuse_when_closed()
        order = await self._check_in(candidate)
        self._refuse_when_closed()
        if not candidate.runs:
            # A schedule needs no version before its start.
            del self._scripts[candidate.execution_id]
        return order

    async def _wait_in(self, candidate: Candidate) -> StartOrder:
        """Let in what is accepted, as soon as its entity is there, and the runner, and a place."""
        await self._script(candidate)  # where it is gone there is nothing to wait for
        await self._wait_online(candidate.entity)
        order = await self._check_in_with_patience(candidate)
        # A schedule that is let in is one no more.
        self._schedule_places.leave(candidate.execution_id)
        return order

    async def _check_in(self, candidate: Candidate) -> StartOrder:
        """Check, take a place, ask the runner: the same walk for whatever is to run."""
        while True:
            script = await self._script(candidate)
            order = self._order(candidate, script)
            await self._checks.check(order)
            await self._take_places(candidate, script)
            if candidate.accepted:
                # Who asks for a start hears what is amiss for the moment, and asks again. Nobody
                # asks here, and a start that fails is used up.
                await self._free_space.check()
                await self._runner.ready()
            await self._runner.vet(order)
            # Replaced meanwhile, perhaps by the same bytes with other metadata, or under another
            # name: what was checked is not what would be started.
            if await self._script(candidate, within_sec=_CHECKED_SEC) == script:
                return order

    async def _take_places(self, candidate: Candidate, script: Script) -> None:
        # Before the runner is asked, which may have to execute a part of the script.
        place = Place(execution_id=candidate.execution_id, entity=candidate.entity, script=script)
        if candidate.accepted:
            turn = self._line.join(place)
            if not turn.done():
                await self._tell_queued(candidate)
                await turn
        elif candidate.runs:
            self._line.take(place)
        if candidate.schedule_id is not None:
            self._schedule_places.take(candidate.schedule_id)

    async def _tell_queued(self, candidate: Candidate) -> None:
        """Tell that somebody has to wait: of all who have to at one moment with one commit."""
        telling = self._telling if self._queued else None
        if telling is None:
            telling = asyncio.create_task(self._record_queued(), name='tell who waits')
            self._telling = telling
        self._queued.append(candidate)
        # A disk that stalls keeps nobody from a place.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TELL_PATIENCE_SEC):
                await asyncio.shield(telling)

    async def _record_queued(self) -> None:
        await asyncio.sleep(0)
        queued, self._queued = self._queued, []
        news = [_queued(each) for each in queued if self._line.waits(each.execution_id)]
        try:
            if news:
                await self._ledger.record(*news)
        except StoreUnavailable as error:
            _log.warning('cannot record who has to wait: %s', error)

    async def _check_in_with_patience(self, candidate: Candidate) -> StartOrder:
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                return await self._check_in(candidate)
            except (RunnerUnavailable, SchemaCheckUnavailable) as error:
                if not attempts_left:
                    raise
                _log.warning('%s waits: %s', candidate.execution_id, error)
                await asyncio.sleep(_RETRY_SEC)
        raise AssertionError

    async def _script(self, candidate: Candidate, within_sec: float = 0.0) -> Script:
        """Return the script as it was accepted, else as it is now, and keep that version.

        For `within_sec` see `ScriptLibrary.get`.

        Nobody keeps versions of a managed script: it is always as it is now. What is gone is gone
        in each version. ScriptNotFound.
        """
        script = await self._library.get(
            candidate.entity, candidate.script_id, within_sec=within_sec
        )
        kept = self._scripts.get(candidate.execution_id)
        if candidate.accepted and kept is not None and not kept.managed:
            return kept
        self._scripts[candidate.execution_id] = script
        return script

    async def _wait_online(self, entity: EntityRef) -> None:
        assert self._directory is not None, 'admission is not open'
        timeout_sec = self._settings.restarts.entity_timeout_sec
        try:
            async with asyncio.timeout(timeout_sec):
                await self._directory.wait_online(entity)
        except TimeoutError:
            raise NotStartable(
                FailureReason.ENTITY_ABSENT,
                f'{entity.path} did not come online within {timeout_sec:g} s',
            ) from None

    def _order(self, candidate: Candidate, script: Script) -> StartOrder:
        return StartOrder(
            execution_id=candidate.execution_id,
            entity=candidate.entity,
            script=script,
            parameters=candidate.parameters,
            arguments=candidate.arguments,
            timeout_sec=self._time_limit(candidate, script),
            stop_grace_period_sec=self._settings.stop_grace_period_sec,
        )

    def _time_limit(self, candidate: Candidate, script: Script) -> float:
        longest_sec = script.timeout_sec or self._settings.default_timeout_sec
        asked_sec = candidate.timeout_sec
        if asked_sec is None:
            return longest_sec
        if asked_sec > longest_sec and not candidate.accepted:
            raise TimeoutTooLong(asked_sec, longest_sec, by_default=script.timeout_sec is None)
        return min(asked_sec, longest_sec)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise GatewayShuttingDown


def _queued(candidate: Candidate) -> Happening:
    subject = execution_subject(candidate.entity, candidate.script_id, candidate.execution_id)
    return Happening(kind=EventKind.EXECUTION_QUEUED, subject=subject, actor=GATEWAY)


@contextlib.contextmanager
def _refusals_end_it() -> Iterator[None]:
    """Make of what refuses the start of an accepted execution the reason of its failure."""
    try:
        yield
    except (ScriptNotFound, ScriptsTurnedOff) as error:
        raise NotStartable(FailureReason.SCRIPT_GONE, str(error)) from error
    except ParametersInvalid as error:
        raise NotStartable(FailureReason.PARAMETERS_REFUSED, str(error)) from error
    except (FeatureNotAvailable, RunnerUnavailable, SchemaCheckUnavailable) as error:
        raise NotStartable(FailureReason.SPAWN_FAILED, str(error)) from error
