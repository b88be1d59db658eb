# SPDX-License-Identifier: Apache-2.0
"""From a candidate to a start order: the script, the parameters and the runner are asked first."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
import contextlib
from dataclasses import dataclass
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ProximityNotAvailable
from gateway_node.executions.ports import FreeSpace, ScriptRunner, StartOrder
from gateway_node.executions.values import Execution
from gateway_node.scripts.errors import ParametersInvalid, ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.schemas import SchemaChecker
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.strict_json import shown


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is to be executed, before anybody checked it."""

    entity: EntityRef
    script_id: str
    parameters: Mapping[str, Any]
    arguments: tuple[str, ...]


def candidate_of(execution: Execution) -> Candidate:
    """Return what an execution, or a schedule, is to execute."""
    return Candidate(
        entity=execution.entity,
        script_id=execution.script_id,
        parameters=execution.input_parameters,
        arguments=execution.arguments,
    )


class StartChecks:
    """Turns wishes into orders that the runner will take."""

    def __init__(
        self,
        *,
        library: ScriptLibrary,
        schemas: SchemaChecker,
        runner: ScriptRunner,
        free_space: FreeSpace,
        default_timeout_sec: float,
        stop_grace_period_sec: float,
    ) -> None:
        self._library = library
        self._schemas = schemas
        self._runner = runner
        self._free_space = free_space
        self._default_timeout_sec = default_timeout_sec
        self._stop_grace_period_sec = stop_grace_period_sec
        self._pins: Counter[tuple[str, str]] = Counter()

    async def runner_ready(self) -> None:
        """Return where scripts can be started at the moment; RunnerUnavailable."""
        await self._free_space.check()
        await self._runner.ready()

    async def order(
        self,
        execution_id: str,
        candidate: Candidate,
        admit: Callable[[Script], None] = lambda _: None,
    ) -> StartOrder:
        """Check a candidate against the script in its present version.

        `admit` raises where there is no place for it. It is called before the runner is asked,
        which may have to execute a part of the script, and again where the script was replaced.

        Raises:
            ScriptNotFound, SchemaCheckUnavailable, RunnerUnavailable, DiskSpaceLow: as their
                names say.
            ParametersInvalid: the script does not take the parameters, or the arguments.
            FeatureNotAvailable: the script's kind or its proof of proximity.
        Whatever `admit` raises is raised too.
        """
        while True:
            script = await self._library.get(candidate.entity, candidate.script_id)
            order = self._filled_in(execution_id, candidate, script)
            with self._pinned(script):
                await self._check(order)
                admit(script)
                await self._runner.vet(order)
                present = await self._library.get(candidate.entity, candidate.script_id)
            # Replaced meanwhile, perhaps by the same bytes with other metadata, or under another
            # name: what was checked is not what would be started.
            if present == script:
                return order

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script for which orders are being made out."""
        return frozenset(version for pinned, version in self._pins if pinned == script_id)

    @contextlib.contextmanager
    def _pinned(self, script: Script) -> Iterator[None]:
        pin = script.id, script.version
        self._pins[pin] += 1
        try:
            yield
        finally:
            self._pins[pin] -= 1
            if not self._pins[pin]:
                del self._pins[pin]

    async def script(self, candidate: Candidate) -> Script:
        """Return the script of a candidate in its present version; ScriptNotFound."""
        return await self._library.get(candidate.entity, candidate.script_id)

    async def present_version(self, entity: EntityRef, script_id: str) -> str | None:
        """Return the version that a script has now; None where the script is gone."""
        try:
            return (await self._library.get(entity, script_id)).version
        except ScriptNotFound:
            return None

    def _filled_in(self, execution_id: str, candidate: Candidate, script: Script) -> StartOrder:
        return StartOrder(
            execution_id=execution_id,
            entity=candidate.entity,
            script=script,
            parameters=candidate.parameters,
            arguments=candidate.arguments,
            timeout_sec=script.timeout_sec or self._default_timeout_sec,
            stop_grace_period_sec=self._stop_grace_period_sec,
        )

    async def _check(self, order: StartOrder) -> None:
        script = order.script
        await self._free_space.check()
        if script.proximity_proof_required:
            raise ProximityNotAvailable(script.id)
        if script.kind is ScriptKind.LAUNCH and order.arguments:
            raise ParametersInvalid(
                f"'arguments' begins with {shown(order.arguments[0])}; a launch fragment takes "
                "none, its launch arguments are given as 'parameters'"
            )
        if script.parameters_schema is not None:
            await self._schemas.check_parameters(script.parameters_schema, order.parameters)
