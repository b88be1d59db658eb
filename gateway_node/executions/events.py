# SPDX-License-Identifier: Apache-2.0
"""What happens to executions, schedules and scripts, as the one log of it tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import datetime
import enum
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.instance_refs import KeptInstance, PendingFiring
from gateway_node.executions.values import Execution


class EventKind(enum.Enum):
    """What happened."""

    EXECUTION_ACCEPTED = 'execution.accepted'
    """It is recorded and to be started; `changes` are all of its summary."""
    EXECUTION_QUEUED = 'execution.queued'
    """It has to wait for a place."""
    EXECUTION_PRIORITISED = 'execution.prioritised'
    """It waits for a place with another priority."""
    EXECUTION_RUNNING = 'execution.running'
    """Its process tree exists."""
    EXECUTION_STOP_ACCEPTED = 'execution.stop_accepted'
    """Somebody asked for its end."""
    EXECUTION_ENDED = 'execution.ended'
    """It has its final status."""
    EXECUTION_DELETED = 'execution.deleted'
    """Nothing is kept of it any more; it may have been a schedule once."""
    SCHEDULE_MADE = 'schedule.made'
    """It is recorded and waits for a start of the gateway; `changes` are all of its summary."""
    SCHEDULE_STARTED = 'schedule.started'
    """It started an execution, which names it as its parent, or is one itself from now on."""
    SCHEDULE_SKIPPED = 'schedule.skipped'
    """A start of the gateway came too soon after its last one."""
    SCHEDULE_REMOVED = 'schedule.removed'
    """It starts nothing any more: it was stopped, or its script is gone."""
    SCRIPT_UPLOADED = 'script.uploaded'
    """There is a new script."""
    SCRIPT_REPLACED = 'script.replaced'
    """A script has another version."""
    SCRIPT_DELETED = 'script.deleted'
    """A script is gone."""
    LINE_PAUSED = 'line.paused'
    """Nobody is let in any more, or nobody of an entity."""
    LINE_RESUMED = 'line.resumed'
    """They are let in again."""
    LOCK_ACQUIRED = 'lock.acquired'
    """Somebody holds an entity; `changes` say who, and until when."""
    LOCK_EXTENDED = 'lock.extended'
    """Its holder has it for longer, or shorter."""
    LOCK_RELEASED = 'lock.released'
    """Its holder gave it back."""
    LOCK_BROKEN = 'lock.broken'
    """Somebody else took it away."""
    LOCK_EXPIRED = 'lock.expired'
    """Its time was over, or the machine was booted."""
    INSTANCE_CREATED = 'instance.created'
    """A script has a new instance."""
    INSTANCE_REPLACED = 'instance.replaced'
    """An instance is another one now, under the same name."""
    INSTANCE_DELETED = 'instance.deleted'
    """An instance is gone."""
    INSTANCE_ENABLED = 'instance.enabled'
    """Its triggers fire from now on."""
    INSTANCE_DISABLED = 'instance.disabled'
    """Its triggers do not fire any more."""
    TRIGGER_FIRED = 'trigger.fired'
    """The condition of a trigger came true; `changes` say which one, and the values."""
    TRIGGER_DROPPED = 'trigger.dropped'
    """What fired leads to nothing; `changes` name the firing."""
    TRIGGER_DAMPED = 'trigger.damped'
    """A trigger would fire more often than it may; `changes` say how often it was kept from it,
    once that is over."""


FIRST_KINDS = frozenset({EventKind.EXECUTION_ACCEPTED, EventKind.SCHEDULE_MADE})
"""What the first event of an execution, or of a schedule, can be."""

STATUS_KINDS = FIRST_KINDS | {
    EventKind.EXECUTION_RUNNING,
    EventKind.EXECUTION_ENDED,
    EventKind.SCHEDULE_REMOVED,
}
"""What brings an execution into a status."""


SCRIPT_KINDS = frozenset(
    {EventKind.SCRIPT_UPLOADED, EventKind.SCRIPT_REPLACED, EventKind.SCRIPT_DELETED}
)
"""What tells of a script."""

TRIGGER_KINDS = frozenset(kind for kind in EventKind if kind.value.startswith('trigger.'))
"""What tells of a trigger of an instance."""

INSTANCE_KINDS = TRIGGER_KINDS | {kind for kind in EventKind if kind.value.startswith('instance.')}
"""What tells of an instance, by its path."""

EXECUTION_KINDS = frozenset(
    kind for kind in EventKind if kind.value.startswith(('execution.', 'schedule.'))
)
"""What tells of an execution, or of a schedule."""


_LINE = 'line'


@dataclass(frozen=True, kw_only=True)
class Change:
    """A new state of one execution, and what led to it."""

    execution: Execution
    kind: EventKind
    actor: Actor
    """Who made it."""
    cause: str | None = None
    """Why, in a word: the trigger's type, the kind of stop, the failure's vendor code."""
    kept_bytes: int | None = None
    """Of the disk, that what is kept beside the record takes once it has ended; None before, and
    where nobody measured it."""
    key: IdempotencyKey | None = None
    """Under which a client asked for a new execution; it is kept in the same commit."""

    @classmethod
    def first(
        cls, execution: Execution, actor: Actor, key: IdempotencyKey | None = None
    ) -> 'Change':
        """Return what records a new execution, or a new schedule."""
        kind = EventKind.EXECUTION_ACCEPTED
        if execution.is_schedule:
            kind = EventKind.SCHEDULE_MADE
        cause = execution.trigger.type.value
        return cls(execution=execution, kind=kind, actor=actor, cause=cause, key=key)

    @property
    def new(self) -> bool:
        """True for the first state of an execution."""
        return self.kind in FIRST_KINDS


@dataclass(frozen=True, kw_only=True)
class Happening:
    """What happened and left each execution as it was, whatever it happened to."""

    kind: EventKind
    subject: str
    actor: Actor
    cause: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What is different now, as JSON values."""
    lock: EntityLock | None = None
    """What it happened to, as it is now: kept in the same commit, or, where it ended, no more."""
    instance: KeptInstance | None = None
    """The same, of an instance."""
    fires: PendingFiring | None = None
    """What fired: kept in the same commit, under the sequence of the event."""
    settles: int | None = None
    """The sequence of the firing that leads to nothing: it is pending no more."""
    key: IdempotencyKey | None = None
    """Under which a client asked for what is made with it; it is kept in the same commit, with the
    last part of the subject."""

    @classmethod
    def queued(cls, entity: EntityRef, script_id: str, execution_id: str) -> 'Happening':
        """Return what tells that an execution has to wait for a place."""
        subject = execution_subject(entity, script_id, execution_id)
        return cls(kind=EventKind.EXECUTION_QUEUED, subject=subject, actor=GATEWAY)


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A place in the log: behind one event, or before the first."""

    epoch: str
    """Names the history that the log tells: another database, or one that was set back, has
    another one."""
    sequence: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """One row of the log."""

    epoch: str
    sequence: int
    """Grows by one with each event, over restarts."""
    at: datetime.datetime
    """When it was recorded, by the wall clock."""
    kind: EventKind
    subject: str
    """The path of what it happened to, below the base: `apps/arm/scripts/s/executions/e`,
    `apps/arm/scripts/s/instances/i`, `line`, `apps/arm/line` or `apps/arm/locks/l`."""
    actor: Actor
    cause: str | None
    """Why, in a word, where there is more to say than the kind does."""
    changes: Mapping[str, Any]
    """The members of the summary that are different now, as JSON values; None where one is gone.
    Of an execution `documents.evolved` makes the next summary of it."""

    @property
    def script_id(self) -> str:
        """The id of the script that it happened to, or to an execution or an instance of which;
        the line and locks have none."""
        return self.subject.split('/')[3]

    @property
    def subject_id(self) -> str:
        """The id of what it happened to."""
        return self.subject.rpartition('/')[2]

    @property
    def is_of_execution(self) -> bool:
        """Whether it happened to an execution, or to a schedule."""
        return self.kind in EXECUTION_KINDS

    @property
    def cursor(self) -> Cursor:
        """The place behind it."""
        return Cursor(epoch=self.epoch, sequence=self.sequence)


@dataclass(frozen=True, kw_only=True)
class LogBounds:
    """What the log can tell at a moment."""

    begins: Cursor
    """The place before the oldest event that is kept."""
    ends: Cursor
    """The place behind the newest one."""


def script_subject(entity: EntityRef, script_id: str) -> str:
    """Return the path of a script."""
    return f'{entity.path}/scripts/{script_id}'


def execution_subject(entity: EntityRef, script_id: str, execution_id: str) -> str:
    """Return the path of an execution."""
    return f'{script_subject(entity, script_id)}/executions/{execution_id}'


def line_subject(entity: EntityRef | None) -> str:
    """Return the path of the line, or of the part of it for an entity."""
    return _LINE if entity is None else f'{entity.path}/{_LINE}'


def lock_subject(lock: EntityLock) -> str:
    """Return the path of a lock."""
    return f'{lock.entity.path}/locks/{lock.id}'


def line_entity(subject: str) -> EntityRef | None:
    """Return the entity that `line_subject` was given."""
    path = subject.removesuffix(_LINE).rstrip('/')
    return EntityRef.from_path(path) if path else None
