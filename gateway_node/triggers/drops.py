# SPDX-License-Identifier: Apache-2.0
"""Why a firing leads to nothing, in a word for the log and in a sentence for a person."""

from dataclasses import dataclass

from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    DiskSpaceLow,
    EntityLocked,
    ExecutionNotFound,
    ExecutionNotStoppable,
    FeatureNotAvailable,
    InstanceAlreadyRunning,
    LineFull,
    LinePaused,
    OpenLimitReached,
    RunnerUnavailable,
    ScriptAlreadyRunning,
    TimeoutTooLong,
)
from gateway_node.executions.preconditions import PreconditionsUnmet
from gateway_node.executions.proximity import (
    ProximityClosed,
    ProximityNeeded,
    ProximityRefused,
    ProximityUnavailable,
    StartUnattended,
)
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)
from gateway_node.triggers.errors import InstanceNotFound

_CAUSES: dict[type[Exception], str] = {
    InstanceAlreadyRunning: 'already-running',
    ScriptAlreadyRunning: 'script-already-running',
    ConcurrencyLimitReached: 'limit',
    OpenLimitReached: 'limit',
    LineFull: 'line-full',
    LinePaused: 'line-paused',
    EntityLocked: 'locked',
    ScriptNotFound: 'script-gone',
    ScriptsTurnedOff: 'script-gone',
    ParametersInvalid: 'parameters-refused',
    TimeoutTooLong: 'parameters-refused',
    ConfirmationNeeded: 'not-confirmed',
    PreconditionsUnmet: 'preconditions-unmet',
    ProximityClosed: 'nobody-there',
    ProximityNeeded: 'nobody-there',
    ProximityRefused: 'nobody-there',
    ProximityUnavailable: 'nobody-there',
    StartUnattended: 'nobody-there',
    FeatureNotAvailable: 'not-available',
    DiskSpaceLow: 'disk-space-low',
    RunnerUnavailable: 'runner-unavailable',
    SchemaCheckUnavailable: 'runner-unavailable',
    LibraryUnavailable: 'library-unavailable',
    InstanceNotFound: 'instance-gone',
    ExecutionNotFound: 'nothing-runs',
    ExecutionNotStoppable: 'nothing-runs',
}
"""By what refuses it; the nearest class counts."""


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Why a firing leads to nothing."""

    cause: str
    reason: str

    @classmethod
    def of(cls, error: Exception) -> 'Drop | None':
        """Return what an error says; None where it is a defect."""
        for each in type(error).__mro__:
            if each in _CAUSES:
                return cls(cause=_CAUSES[each], reason=str(error))
        return None


GONE = Drop(cause='instance-gone', reason='the instance was deleted meanwhile')
DISABLED = Drop(cause='disabled', reason='the instance was disabled meanwhile')
REPLACED = Drop(
    cause='replaced', reason='the instance was replaced meanwhile, and has no such trigger'
)
NOTHING_RUNS = Drop(cause='nothing-runs', reason='no execution of the instance is open')
STOPPED_BY_OTHERS = Drop(
    cause='stopped-already', reason='the execution was asked to end by somebody else before'
)
DEFECT = Drop(cause='defect', reason='an internal error; the log of the gateway has the traceback')
