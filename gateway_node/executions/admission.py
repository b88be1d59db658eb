# SPDX-License-Identifier: Apache-2.0
"""The one entrance: whatever is to run is checked here, and waits here for its place.

A client's start is refused where something is amiss, before anything is recorded; where it only
lacks a place it stands in line, and is recorded. What is recorded already (that, the execution of
a schedule, what an earlier gateway left) is accepted: it waits, in the version of its script in
which it was accepted, and what is amiss for good ends it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
import contextlib
import logging

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.accepted_scripts import AcceptedScripts
from gateway_node.executions.candidates import Admitted, Candidate, refusals_end_it
from gateway_node.executions.confirmations import ConfirmationNeeded, is_confirmed
from gateway_node.executions.errors import (
    GatewayShuttingDown,
    NotStartable,
    RunnerUnavailable,
)
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.held_secrets import HeldSecrets
from gateway_node.executions.instance_refs import instance_of, InstanceRef
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.looked_starts import LookedStarts
from gateway_node.executions.ports import FreeSpace
from gateway_node.executions.proven_starts import ProvenStarts
from gateway_node.executions.proximity import ProximityCheck
from gateway_node.executions.queue_news import QueueNews
from gateway_node.executions.runner_ports import ScriptRunner, StartOrder
from gateway_node.executions.settings import ExecutionSettings
from gateway_node.executions.start_checks import StartChecks
from gateway_node.executions.start_orders import StartOrders
from gateway_node.executions.start_places import StartPlaces
from gateway_node.executions.values import Execution
from gateway_node.scripts.errors import (
    SchemaCheckUnavailable,
    SecretsScheduled,
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
        places: StartPlaces,
        up_sec: Callable[[], float],
        settings: ExecutionSettings,
        proximity: ProximityCheck,
        looked: LookedStarts,
    ) -> None:
        """`up_sec` tells how long all gateways on the store were up."""
        self._runner = runner
        self._free_space = free_space
        self._settings = settings
        self._checks = StartChecks(schemas, free_space)
        self._line = places.line
        self._places = places
        self._up_sec = up_sec
        self._scripts = AcceptedScripts(library)
        self.secrets = HeldSecrets()
        """Of what waits, or may be tried again, until it leaves."""
        self._proven = ProvenStarts(proximity)
        self._looked = looked
        self._orders = StartOrders(settings, self.secrets, looked)
        self._queue_news = QueueNews(ledger, self._line.waits)
        self._directory: EntityDirectory | None = None
        self._closed = False

    def open(self, directory: EntityDirectory) -> None:
        """Let in from now on; what is accepted waits for its entity in the directory."""
        self._directory = directory
        self._orders.open(directory)

    def close(self) -> None:
        """Let in nothing more but what is accepted; that is stopped by who drives it."""
        self._closed = True

    async def walk_in(self, candidate: Candidate) -> Admitted:
        """Let in a client's start, or have it stand in line; return what is then to be started.

        It has its places then, or waits for one, and keeps the version of its script, until
        `leave`. What has to wait is recorded next, and comes in through `enter`.

        Raises:
            GatewayShuttingDown, ScriptNotFound, ScriptsTurnedOff, RunnerUnavailable,
            DiskSpaceLow, SchemaCheckUnavailable, ScriptAlreadyRunning, ConcurrencyLimitReached,
            LineFull, LinePaused, ScheduleLimitReached, OpenLimitReached, ConfirmationNeeded,
            InstanceAlreadyRunning, PreconditionsUnmet: as their names say.
            ParametersInvalid: the script does not take the parameters, or the arguments.
            SecretsScheduled: it would be a schedule, and secrets are among the parameters.
            TimeoutTooLong: the script, or the gateway, does not allow such a time limit.
            FeatureNotAvailable: the script's kind or its proof of proximity.
            StartUnattended: nobody would stand beside the robot, as the script requires.
            What `ProximityCheck.check` raises: who asks has not proven to be there.
        """
        with self._leaving_at_errors(candidate):
            self._refuse_when_closed()
            admitted = await self._check_and_ask(candidate)
            self._refuse_when_closed()
            self.secrets.hold_where_needed(admitted, candidate.attempt)
            if not candidate.runs:
                # A schedule needs no version before its start.
                self._scripts.forget(candidate.execution_id)
            return admitted

    async def look_ahead(self, starts: Iterable[tuple[Candidate, Script]]) -> None:
        """Look at the robot for starts that follow one after the other, so that none waits for a
        value for which the one before it waited in vain."""
        await self._looked.look_ahead(starts)

    async def examine(self, candidate: Candidate) -> StartOrder:
        """Return what a start that is made later would start, with what of its parameters is
        secret: as far as nothing has to be executed to know. It takes no place.

        Raises:
            ScriptNotFound, ScriptsTurnedOff, RunnerUnavailable, DiskSpaceLow,
            SchemaCheckUnavailable, ParametersInvalid, TimeoutTooLong, FeatureNotAvailable: as
            `walk_in`.
        """
        script = await self._scripts.present(candidate)
        order = await self._checks.check(self._orders.of(candidate, script))
        await self._runner.look_over(order)
        return order

    async def enter(self, candidate: Candidate) -> StartOrder:
        """Let in what is accepted, as soon as its entity is there, and the runner, and a place;
        return what is then to be started.

        It has its place then, and keeps the version of its script, until `leave`.

        Raises:
            NotStartable: there will be no start.
        """
        self._places.give(candidate)
        with self._leaving_at_errors(candidate), refusals_end_it():
            async with self._before_it_expires(candidate):
                # Where it is gone there is nothing to wait for.
                script = await self._scripts.of(candidate)
                if not candidate.in_line:
                    await self._wait_online(candidate.entity)
                    await self._looked.wait(
                        self._orders.of(candidate, script),
                        self._settings.restarts.entity_timeout_sec,
                    )
                order = await self._check_in_with_patience(candidate)
            # A schedule that is let in is one no more.
            self._places.begin(candidate.execution_id)
            self.secrets.forget_where_last(order, candidate.attempt)
            return order

    async def accept(
        self, execution_id: str, entity: EntityRef, script_id: str, *, after: str | None = None
    ) -> Script:
        """Keep the present version of a script for an execution, until `leave`; ScriptNotFound.

        `after` is the execution whose start is that of this one, too.
        """
        script = await self._scripts.keep_present(execution_id, entity, script_id)
        self._proven.follow(execution_id, after)
        return script

    def leave(self, execution_id: str) -> None:
        """Free what an execution, or a schedule, holds; harmless where that is nothing."""
        self._scripts.forget(execution_id)
        self.secrets.forget(execution_id)
        self._proven.forget(execution_id)
        self._places.leave(execution_id)

    def note_open(self, execution: Execution) -> None:
        """Count what is accepted as the open execution of its instance, until `leave`."""
        self._places.instances.give(instance_of(execution), execution.id)

    def open_of_instance(self, ref: InstanceRef) -> str | None:
        """Return the id of the open execution of an instance, one that is being let in, too."""
        return self._places.instances.open_of(ref)

    def restore_schedules(self, schedules: Iterable[Execution]) -> None:
        """Give schedules of earlier gateways their places, however many there are."""
        self._places.restore_schedules(schedules)

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that whoever is in, or is being let in, needs."""
        return self._scripts.versions_in_use(script_id)

    @contextlib.contextmanager
    def _leaving_at_errors(self, candidate: Candidate) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for each in candidate.ids:
                self.leave(each)
            raise

    @contextlib.asynccontextmanager
    async def _before_it_expires(self, candidate: Candidate) -> AsyncIterator[None]:
        """Raise NotStartable where what is done within takes longer than a start may wait."""
        expires = candidate.expires_up_sec
        left_sec = None if expires is None else expires - self._up_sec()
        message = 'it was not started in the time that its start gave it'
        if left_sec is not None and left_sec <= 0:
            # A time limit would come too late where nothing within waits for anything.
            raise NotStartable(FailureReason.EXPIRED, message)
        try:
            async with asyncio.timeout(left_sec) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise NotStartable(FailureReason.EXPIRED, message) from None

    async def _check_and_ask(self, candidate: Candidate) -> Admitted:
        """Check, take a place or stand in line, ask the runner: nothing is on record yet."""
        while True:
            script = await self._scripts.of(candidate)
            order = await self._checks.check(self._orders.of(candidate, script))
            if order.secrets and candidate.schedule_id is not None:
                raise SecretsScheduled(order.secrets)
            if not is_confirmed(script.confirmation, candidate.confirmed):
                raise ConfirmationNeeded.of(order)
            self._proven.check_attended(candidate, script)
            # Before it has a place: to wait for a value holds nobody up.
            looked_at = await self._looked.look(order) if candidate.runs else None
            waits = self._places.take(candidate, script)
            if waits:
                await self._runner.look_over(order)
            else:
                # Behind the place: it may have to execute a part of the script.
                await self._runner.vet(order)
            if looked_at is not None:
                await self._looked.look(order, since=looked_at)
            # Last of all: a proof that is used up was not in vain.
            await self._proven.prove(candidate, script)
            if await self._is_still(candidate, script):
                return Admitted(order=order, waits=waits)

    async def _check_in(self, candidate: Candidate) -> StartOrder:
        """Check, wait for a place, ask the runner: the same for all that is on record."""
        while True:
            script = await self._scripts.of(candidate)
            order = await self._checks.check(self._orders.of(candidate, script))
            self._proven.check_proven(candidate, script)
            turn = self._line.join(candidate.place(script))
            if not turn.done():
                if not candidate.in_line:
                    await self._queue_news.tell(
                        candidate.entity, candidate.script_id, candidate.execution_id
                    )
                await turn
            # Who asks for a start hears what is amiss for the moment, and asks again. Nobody
            # asks here, and a start that fails is used up.
            await self._free_space.check()
            await self._runner.ready()
            await self._runner.vet(order)
            # With its place: who gave it away meanwhile would never have its turn.
            await self._looked.look(order)
            if await self._is_still(candidate, script):
                return order

    async def _is_still(self, candidate: Candidate, script: Script) -> bool:
        # Replaced meanwhile, perhaps by the same bytes with other metadata, or under another
        # name: what was checked is not what would be started.
        return await self._scripts.of(candidate, within_sec=_CHECKED_SEC) == script

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

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise GatewayShuttingDown
