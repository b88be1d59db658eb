# SPDX-License-Identifier: Apache-2.0
"""What an execution that nobody waits for goes through before its start: its entity comes online,
a place is free, an order is made out."""

import asyncio
from collections.abc import Callable, Coroutine
import logging
from typing import Any

from gateway_node.entities.directory import EntityDirectory
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.errors import (
    FeatureNotAvailable,
    NotStartable,
    RunnerUnavailable,
)
from gateway_node.executions.ports import StartOrder
from gateway_node.executions.start_checks import Candidate, candidate_of, StartChecks
from gateway_node.executions.values import Execution, FailureReason
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)

_log = logging.getLogger(__name__)

_ATTEMPTS = 30
_RETRY_SEC = 1.0
"""Between attempts to start what the runner or the schema check refused for the moment."""


class Preparations:
    """Prepares executions that start with the gateway."""

    def __init__(
        self, *, checks: StartChecks, active: ActiveExecutions, entity_timeout_sec: float
    ) -> None:
        self._checks = checks
        self._active = active
        self._entity_timeout_sec = entity_timeout_sec

    def of(
        self, execution: Execution, directory: EntityDirectory
    ) -> Callable[[], Coroutine[Any, Any, StartOrder]]:
        """Return what `ActiveExecution` awaits before the start; it raises NotStartable."""

        async def prepare() -> StartOrder:
            try:
                return await self._prepare(execution, directory)
            except (ScriptNotFound, ScriptsTurnedOff) as error:
                raise NotStartable(FailureReason.SCRIPT_GONE, str(error)) from error
            except ParametersInvalid as error:
                raise NotStartable(FailureReason.PARAMETERS_REFUSED, str(error)) from error
            except (FeatureNotAvailable, RunnerUnavailable, SchemaCheckUnavailable) as error:
                raise NotStartable(FailureReason.SPAWN_FAILED, str(error)) from error

        return prepare

    async def _prepare(self, execution: Execution, directory: EntityDirectory) -> StartOrder:
        candidate = candidate_of(execution)
        # Where it is gone there is nothing to wait for.
        await self._checks.script(candidate)
        await self._wait_online(execution, directory)
        script = await self._checks.script(candidate)
        await self._active.wait_for_place(execution.id, execution.entity, script)
        return await self._order_with_patience(execution.id, candidate)

    async def _wait_online(self, execution: Execution, directory: EntityDirectory) -> None:
        try:
            async with asyncio.timeout(self._entity_timeout_sec):
                await directory.wait_online(execution.entity)
        except TimeoutError:
            raise NotStartable(
                FailureReason.ENTITY_ABSENT,
                f'{execution.entity.path} did not come online within '
                f'{self._entity_timeout_sec:g} s',
            ) from None

    async def _order_with_patience(self, execution_id: str, candidate: Candidate) -> StartOrder:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._order(execution_id, candidate)
            except (RunnerUnavailable, SchemaCheckUnavailable) as error:
                _log.warning('%s waits: %s', execution_id, error)
                await asyncio.sleep(_RETRY_SEC)
        return await self._order(execution_id, candidate)

    async def _order(self, execution_id: str, candidate: Candidate) -> StartOrder:
        # Who asks for a start hears of set-up files that fail, and asks again. Nobody asks here,
        # and a start that fails is used up.
        await self._checks.runner_ready()
        return await self._checks.order(execution_id, candidate)
