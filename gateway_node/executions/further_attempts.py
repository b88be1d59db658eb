# SPDX-License-Identifier: Apache-2.0
"""What follows an execution that failed, where its script is to be tried again.

It is recorded in the commit of the end, so that there is never the one without the other, and
waits in `prepared`: first for its delay, then as whatever is accepted.
"""

from collections.abc import Callable
import logging

from gateway_node.clock import Clock
from gateway_node.executions.admission import Admission
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.script_fields import script_fields
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import LibraryUnavailable, ScriptNotFound, ScriptsTurnedOff

_log = logging.getLogger(__name__)

RETRY = Trigger(type=TriggerType.SYSTEM, setting='retry')

_NOT_TRIED_AGAIN = frozenset(
    {
        FailureReason.SHUTDOWN,
        FailureReason.RESTARTED,
        FailureReason.EXPIRED,
        FailureReason.SCRIPT_GONE,
        FailureReason.PARAMETERS_REFUSED,
        FailureReason.SECRETS_GONE,
        FailureReason.PROXIMITY_UNPROVEN,
        FailureReason.PRECONDITION_LOST,
    }
)
"""The first two are no fault of the script's, what expired is wanted no more, somebody should look
at what a precondition was lost for, and the others would be the same again."""


class FurtherAttempts:
    """Makes them; whoever records and drives them is told."""

    def __init__(
        self,
        *,
        admission: Admission,
        ids: ExecutionIds,
        clock: Clock,
        up_sec: Callable[[], float],
    ) -> None:
        """`up_sec` tells the seconds that the gateway was up in all its lives."""
        self._admission = admission
        self._ids = ids
        self._clock = clock
        self._up_sec = up_sec

    def left_sec(self, execution: Execution) -> float:
        """Return how long an execution is to wait yet before it wants in."""
        due_up_sec = execution.due_up_sec
        return 0.0 if due_up_sec is None else max(0.0, due_up_sec - self._up_sec())

    async def after(self, ended: Execution) -> Execution | None:
        """Return what is to follow an execution that ended; None where nothing is.

        It keeps the version that its script has now, until it leaves. `settle` follows, once it
        is on record or is not to be.
        """
        retries = ended.retries
        if retries is None or ended.attempt > retries.limit or not _tried_again(ended):
            return None
        if ended.secrets and not self._admission.secrets.holds(ended.id):
            _log.warning('%s is not tried again: its secrets are not kept', ended.id)
            return None
        now = self._clock.now()
        execution_id = self._ids.next(now)
        try:
            script = await self._admission.accept(
                execution_id, ended.entity, ended.script_id, after=ended.id
            )
        except BaseException as error:
            self._ids.settle(execution_id)
            if not isinstance(error, (ScriptNotFound, ScriptsTurnedOff, LibraryUnavailable)):
                raise
            _log.warning('%s is not tried again: %s', ended.id, error)
            return None
        self._admission.secrets.pass_on(ended.id, execution_id)
        return Execution(
            id=execution_id,
            entity=ended.entity,
            script_id=script.id,
            **script_fields(script),
            instance=ended.instance,
            instance_version=ended.instance_version,
            execution_type=ExecutionType.NOW,
            status=ExecutionStatus.PREPARED,
            trigger=RETRY,
            created_at=now,
            input_parameters=ended.input_parameters,
            secrets=ended.secrets,
            arguments=ended.arguments,
            attempt=ended.attempt + 1,
            due_up_sec=self._up_sec() + retries.delay_sec,
            timeout_sec=ended.timeout_sec,
            priority=ended.priority,
            callback=ended.callback,
            rights=ended.rights,
            parent=ended.id,
            ancestors=ended.ancestors,
        )

    def settle(self, execution: Execution, *, recorded: bool) -> None:
        """Take note whether what follows is on record; where not, it never was."""
        if not recorded:
            self._admission.leave(execution.id)
        self._ids.settle(execution.id)


def _tried_again(ended: Execution) -> bool:
    return (
        ended.failure is not None
        and ended.failure.reason not in _NOT_TRIED_AGAIN
        # To run at most once is what was asked for.
        and ended.execution_type is not ExecutionType.ONCE_ON_RESTART
    )
