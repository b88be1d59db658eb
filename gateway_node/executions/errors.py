# SPDX-License-Identifier: Apache-2.0
"""Errors of the execution room."""

from collections.abc import Mapping
import datetime
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.executions.events import Cursor
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.group import Skipped
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES, UnkillableProcess
from gateway_node.scripts.values import ScriptKind
from gateway_node.violations import Violation

_SHOWN = 80
"""Characters of a value that a message repeats."""


class ExecutionNotFound(Exception):
    """There is no such execution; `of_script`, of the script that was named."""

    def __init__(self, execution_id: str, *, of_script: bool = False) -> None:
        owner = ' of this script' if of_script else ''
        super().__init__(f'no execution {execution_id!r}{owner}')
        self.execution_id = execution_id


class ArtifactNotFound(Exception):
    """The execution has left no such file, or it is not there any more as it was."""

    def __init__(self, execution_id: str, path: str) -> None:
        super().__init__(f'execution {execution_id!r} has no artifact {path!r:.300}')
        self.execution_id = execution_id
        self.path = path


class IllegalTransition(Exception):
    """A status may not follow another; a defect of the gateway, never of a client."""

    def __init__(
        self, execution_id: str, status: ExecutionStatus, target: ExecutionStatus
    ) -> None:
        super().__init__(f'{execution_id} is {status.value} and cannot become {target.value}')
        self.execution_id = execution_id
        self.status = status
        self.target = target


class ExecutionNotStoppable(Exception):
    """The execution has ended already, though that may not be on record yet."""

    def __init__(self, execution_id: str, status: ExecutionStatus) -> None:
        known = status.value if status in FINAL_STATUSES else 'its end is being recorded'
        super().__init__(f'execution {execution_id!r} has ended already ({known})')
        self.execution_id = execution_id
        self.status = status


class ExecutionNotWaiting(Exception):
    """The execution does not stand in line."""

    def __init__(self, execution_id: str, status: ExecutionStatus) -> None:
        super().__init__(
            f'execution {execution_id!r} is {status.value} and does not wait in line; its '
            'priority can be changed while it does'
        )
        self.execution_id = execution_id
        self.status = status


class ExecutionNotDeletable(Exception):
    """The execution has not ended, or its end is not on record yet."""

    def __init__(
        self, execution_id: str, status: ExecutionStatus, *, has_ended: bool = False
    ) -> None:
        known = (
            'has ended already (its end is being recorded): delete it once that is done'
            if has_ended
            else f'is {status.value}: stop it first'
        )
        super().__init__(f'execution {execution_id!r} {known}')
        self.execution_id = execution_id
        self.status = status


class ScriptHasOpenExecutions(Exception):
    """A script cannot be deleted while an execution of it is open."""

    def __init__(self, script_id: str, execution_ids: tuple[str, ...]) -> None:
        super().__init__(
            f'script {script_id!r} has open executions: {", ".join(execution_ids)}; '
            'stop them, or wait until those that have ended are recorded'
        )
        self.script_id = script_id
        self.execution_ids = execution_ids


class ScriptAlreadyRunning(Exception):
    """A single-execution script has an open execution."""

    def __init__(self, script_id: str, execution_id: str) -> None:
        super().__init__(
            f'script {script_id!r} allows one execution at a time; {execution_id} is open'
        )
        self.script_id = script_id
        self.execution_id = execution_id


class InstanceAlreadyRunning(Exception):
    """An instance has an open execution."""

    def __init__(self, instance: str, execution_id: str) -> None:
        super().__init__(
            f'instance {instance!r} has one execution at a time; {execution_id} is open'
        )
        self.instance = instance
        self.execution_id = execution_id


class ScriptHeldByProcesses(ScriptAlreadyRunning):
    """Processes that a single-execution script left live on: nobody can end them."""

    def __init__(
        self, script_id: str, execution_id: str, processes: tuple[UnkillableProcess, ...]
    ) -> None:
        super().__init__(script_id, execution_id)
        named = ', '.join(f'pid {p.pid} of {p.user} ({p.command})' for p in processes)
        self.args = (
            f'script {script_id!r} allows one execution at a time; of {execution_id}, which has '
            f'ended, there lives on: {named}',
        )
        self.processes = processes


class TimeoutTooLong(Exception):
    """A start gives a time limit above the one that it would have without."""

    def __init__(self, timeout_sec: float, longest_sec: float, *, by_default: bool) -> None:
        whose = 'scripts.default_timeout_sec' if by_default else 'timeout_sec of the script'
        reason = f'is {timeout_sec:.10g}; allowed: at most {longest_sec:.10g} ({whose})'
        super().__init__(f"'timeout_sec' {reason}")
        self.violations = (Violation(path='/body/timeout_sec', reason=reason),)
        self.longest_sec = longest_sec


class ConcurrencyLimitReached(Exception):
    """As many executions have a place as may have one."""

    def __init__(self, parameter: str, limit: int) -> None:
        super().__init__(f'{limit} executions run, or are about to: as many as {parameter} allows')
        self.parameter = parameter
        self.limit = limit


class LineFull(Exception):
    """No place is free, and as many executions wait for one as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f'{limit} executions wait, as many as executions.max_waiting allows')
        self.limit = limit


class LinePaused(Exception):
    """Nothing is let in until somebody resumes the line."""

    def __init__(self, entity: EntityRef | None) -> None:
        """`entity` is the one whose part of the line is paused; None where all of it is."""
        which = 'the line' if entity is None else f'the line of {entity.path}'
        super().__init__(f'{which} is paused: nothing is started until it is resumed')
        self.entity = entity


class BeyondScope(Exception):
    """What is asked for goes further than who asks may look."""


class EntityLocked(Exception):
    """Somebody else holds the entity, or what it is located on."""

    def __init__(self, lock: EntityLock, entity: EntityRef, until: datetime.datetime) -> None:
        """`entity` is named as what is locked; `until` is when the lock ends, by the clock of the
        gateway."""
        super().__init__(
            f'{entity.path} is locked by {lock.holder} until {rfc3339(until)} (lock {lock.id!r})'
        )
        self.lock = lock
        self.entity = entity
        self.until = until

    @property
    def told(self) -> dict[str, Any]:
        """What a client is told of it, in JSON values."""
        return {
            'entity': self.entity.path,
            'existing_lock_id': self.lock.id,
            'holder': self.lock.holder.shown,
            'lock_expiration': rfc3339(self.until),
        }


class NothingToStart(Exception):
    """No entity that is asked for has the script."""

    def __init__(self, script: str, skipped: tuple[Skipped, ...]) -> None:
        known = '; '.join(f'{each.entity}: {each.reason}' for each in skipped[:3])
        super().__init__(
            f'nothing to start: no entity has a script {script!r}'
            + (f' ({known}{"; …" if len(skipped) > 3 else ""})' if skipped else '')
        )
        self.script = script
        self.skipped = skipped


class ParentNotRunning(Exception):
    """What was named as the parent of a new execution runs no script, or is asked to end."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f'{execution_id} cannot be the parent: its script does not run (any more), or was '
            'asked to end'
        )
        self.execution_id = execution_id


class ParentForeign(Exception):
    """A script names another execution than its own as the parent of what it starts."""

    def __init__(self, parent: str, own: str) -> None:
        super().__init__(
            f"parent is '{parent}', and the credential is that of {own}; allowed: {own}, or none"
        )
        self.parent = parent
        self.own = own


class OutlivesScript(Exception):
    """A script wants by its credential what would act for its starter when it has ended."""

    def __init__(self, own: str, what: str) -> None:
        super().__init__(
            f'the credential of {own} ends with it, and {what} would act with its rights later; '
            "allowed: executions with execution_type 'now', and all else with a credential of "
            'your own'
        )
        self.own = own


class ChildLimitReached(Exception):
    """As many children of an execution are open as may be."""

    def __init__(self, execution_id: str, limit: int) -> None:
        super().__init__(f'{limit} children of {execution_id} are open; allowed: {limit}')
        self.execution_id = execution_id
        self.limit = limit


class GenerationLimitReached(Exception):
    """An execution has so many ancestors that it may have no children."""

    def __init__(self, execution_id: str, limit: int) -> None:
        super().__init__(
            f'{execution_id} may have no children: it is of generation {limit} below an execution '
            f'without a parent; allowed: {limit} generations'
        )
        self.execution_id = execution_id
        self.limit = limit


class ExpiryPast(Exception):
    """The moment up to which an execution may wait is over before it is accepted."""

    def __init__(self, expires_at: datetime.datetime) -> None:
        reason = f'is {rfc3339(expires_at)}, which is over by the clock of the gateway'
        super().__init__(f"'expires_at' {reason}")
        self.violations = (Violation(path='/body/expires_at', reason=reason),)


class OpenLimitReached(Exception):
    """One identity has as much open as it may."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(
            f'{name!r} may have {limit} executions and schedules open at a time '
            '(executions.max_open_per_identity); stop one, or wait until one has ended'
        )
        self.name = name
        self.limit = limit


class ScheduleLimitReached(Exception):
    """As many schedules wait as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f'{limit} schedules wait, as many as restart.max_schedules allows; stop or delete one'
        )
        self.limit = limit


class CallbackRefused(Exception):
    """A callback may not go where it is to go; the message says what is allowed."""

    def __init__(self, url: str, reason: str) -> None:
        reason = f'is {url[:_SHOWN]!r}; {reason}'
        super().__init__(f'callback {reason}')
        self.url = url
        self.violations = (Violation(path='/body/callback', reason=reason),)


class FeatureNotAvailable(Exception):
    """A feature of the API that this gateway does not have (yet, or here)."""


class KindNotAvailable(FeatureNotAvailable):
    """This gateway cannot run scripts of this kind."""

    def __init__(self, kind: ScriptKind, reason: str) -> None:
        super().__init__(f"scripts of kind '{kind.value}' cannot run here: {reason}")
        self.kind = kind


class ScriptNotRunnable(FeatureNotAvailable):
    """This gateway has nothing that runs this script as its first line wants it."""

    def __init__(self, script_id: str, reason: str) -> None:
        super().__init__(f'script {script_id!r} cannot run here: {reason}')
        self.script_id = script_id


class ExecutionNotRepeatable(Exception):
    """The execution has not ended, or is or was a schedule, of which nothing ran."""

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f'execution {execution_id!r} {reason}; allowed: one that has ended')
        self.execution_id = execution_id


class IdempotencyKeyReused(Exception):
    """Something else was asked for under this Idempotency-Key before."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f'Idempotency-Key {key!r} was used with other fields; allowed: the same fields, or '
            'another key'
        )
        self.key = key


class NotStartable(Exception):
    """A recorded execution cannot be started; it ends as failed, with this reason."""

    def __init__(
        self,
        reason: FailureReason,
        message: str,
        left: tuple[UnkillableProcess, ...] = (),
        told: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.left = left
        """What had begun all the same and could not be ended."""
        self.told = told or {}
        """What is known besides, in JSON values by name."""


class SpawnFailed(Exception):
    """A script's process could not be started; the message says why."""

    def __init__(self, message: str, left: tuple[UnkillableProcess, ...] = ()) -> None:
        super().__init__(message)
        self.left = left
        """What had begun all the same and could not be ended."""


class RunnerUnavailable(Exception):
    """No script can be started at the moment; the message says why."""


class DiskSpaceLow(RunnerUnavailable):
    """So little of the disk is free that nothing is started or uploaded; the message says how
    little, and what should be."""


class StoreUnavailable(Exception):
    """Nothing can be recorded at the moment; the message says why. Trying again can help."""


class StoreUnusable(StoreUnavailable):
    """Nothing can be recorded any more; the message says why. Only another start can help."""


class ArchiveUnavailable(Exception):
    """What is removed from the history cannot be archived at the moment; the message says why."""


class GatewayRecovering(Exception):
    """The gateway starts, and brings to an end what an earlier one left open."""

    def __init__(self) -> None:
        super().__init__('the gateway is starting: what an earlier one left is brought to an end')


class GatewayShuttingDown(Exception):
    """The gateway is ending and starts nothing any more."""

    def __init__(self) -> None:
        super().__init__('the gateway is shutting down')


class LogBegins(Exception):
    """The log cannot go on from a cursor: what followed is gone, or of another history."""

    def __init__(self, after: Cursor, begins: Cursor) -> None:
        super().__init__(
            f'the log does not reach back to {after.epoch}-{after.sequence}; '
            f'it begins at {begins.epoch}-{begins.sequence}'
        )
        self.after = after
        self.begins = begins
        """The place from which on it can be read."""
