# SPDX-License-Identifier: Apache-2.0
"""What the gateway answers, as values. Each keeps in `fields` all that was answered, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
import enum
from typing import Any, TypedDict


class Status(enum.StrEnum):
    """Where an execution stands."""

    PREPARED = 'prepared'
    """Accepted, not yet running; or a schedule."""
    RUNNING = 'running'
    """The script's process tree exists."""
    COMPLETED = 'completed'
    """Ended well; what the script found is another matter: `verdict`."""
    FAILED = 'failed'
    """Ended badly; `error` tells how."""
    TERMINATED = 'terminated'
    """Stopped by a client, or by a trigger of its instance."""

    @property
    def is_final(self) -> bool:
        """Whether it never changes any more."""
        return self not in (Status.PREPARED, Status.RUNNING)


@dataclass(frozen=True, kw_only=True)
class GenericError:
    """Why something was refused, or failed (SOVD)."""

    error_code: str
    message: str
    vendor_code: str | None
    """`x-gateway-…`, where the error_code is `vendor-error`."""
    parameters: Mapping[str, Any]
    """What is known besides, by name."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'GenericError':
        """Read one as it is answered."""
        return cls(
            error_code=fields['error_code'],
            message=fields['message'],
            vendor_code=fields.get('vendor_code'),
            parameters=fields.get('parameters', {}),
        )


@dataclass(frozen=True, kw_only=True)
class Entity:
    """An app or a component."""

    path: str
    """`apps/temp_sensor`: what scripts hang on."""
    id: str
    name: str
    online: bool
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, collection: str, fields: Mapping[str, Any]) -> 'Entity':
        """Read an entry of `/apps` or `/components`."""
        return cls(
            path=f'{collection}/{fields["id"]}',
            id=fields['id'],
            name=fields['name'],
            online=fields['online'],
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class Script:
    """What can be started of an entity."""

    id: str
    entity: str
    """Path of the entity."""
    name: str
    kind: str
    managed: bool
    version: str | None
    """SHA-256 of the file; None where a managed script's file is gone."""
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, entity: str, fields: Mapping[str, Any]) -> 'Script':
        """Read a script's detail."""
        return cls(
            id=fields['id'],
            entity=entity,
            name=fields['name'],
            kind=fields['kind'],
            managed=fields['managed'],
            version=fields.get('version'),
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class Unmet:
    """What a script requires of the robot, and what is there (docs/api.md, "Preconditions")."""

    entity: str
    path: str
    """JSON Pointer into the script, or its instance."""
    wanted: str
    """The condition, for a person."""
    description: str | None
    value: Any
    """What was read last; None where nothing was, or where the condition has parts."""
    age_sec: float | None
    why: str | None
    """Why it cannot be known, where it cannot."""
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Unmet':
        """Read an entry of `unmet`, or `lost`."""
        return cls(
            entity=fields['entity'],
            path=fields['path'],
            wanted=fields['wanted'],
            description=fields.get('description'),
            value=fields.get('value'),
            age_sec=fields.get('age_sec'),
            why=fields.get('why'),
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a start of a script needs, and whether it is there."""

    reason: str
    """What it is about: `lock`, `limits`, `precondition` and so on (docs/api.md, "Readiness")."""
    ready: bool
    message: str | None
    """What would have to change."""
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Need':
        """Read an entry of a readiness."""
        return cls(
            reason=fields['reason'],
            ready=fields['ready'],
            message=fields.get('message'),
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether a script would start now, and why not."""

    ready: bool
    needs: Sequence[Need]
    """All that a start asks for, in that order."""
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Readiness':
        """Read one as it is answered."""
        needs = tuple(map(Need.of, fields['items']))
        return cls(ready=fields['ready'], needs=needs, fields=fields)


class StartOptions(TypedDict, total=False):
    """What a start may say besides (docs/api.md, "Executions"); None says nothing."""

    arguments: Sequence[str] | None
    timeout_sec: float | None
    priority: int | None
    queue: bool | None
    expires_in_sec: float | None
    expires_at: datetime | str | None
    callback: str | None
    parent: str | None
    confirmed: bool | str | None
    """True, or the text that was read, and that alone is confirmed."""
    proximity_response: str | None


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What started, or stopped, an execution."""

    type: str
    """`manual`, `restart`, `system` or `condition`."""
    setting: str | None
    """What of it: the kind of stop, the limit, the condition."""
    username: str | None
    firing: int | None
    """Of a condition: the sequence of the event that tells that it came true."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Trigger':
        """Read one as it is answered."""
        return cls(
            type=fields['type'],
            setting=fields.get('setting'),
            username=fields.get('username'),
            firing=fields.get('firing'),
        )


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance of a script: what it is given, and what starts and stops it."""

    name: str
    enabled: bool
    """Whether its triggers fire."""
    managed: bool
    """From the gateway's manifest."""
    version: str
    execution_id: str | None
    """Of its open execution, where there is one."""
    fault: str | None
    """Why it would not start as things are; never told in lists."""
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Instance':
        """Read one as it is answered."""
        return cls(
            name=fields['name'],
            enabled=fields['enabled'],
            managed=fields['managed'],
            version=fields['version'],
            execution_id=fields.get('execution', {}).get('id'),
            fault=fields.get('fault'),
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One start of a script, as far as the answer told of it; what it did not tell is None.

    Lists leave out `parameters`, `output` and what else is in the detail only; the answer to a
    start has hardly more than `id` and `status`.
    """

    id: str
    status: Status
    entity: str | None = None
    """Path of the entity."""
    script_id: str | None = None
    instance: str | None = None
    """Name of the script's instance on behalf of which it runs."""
    trigger: Trigger | None = None
    stop_trigger: Trigger | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None
    queue_position: int | None = None
    """Where in line it waits, from 1 on; None where it does not."""
    progress: float | None = None
    """0 to 100, as the script last said."""
    progress_message: str | None = None
    parameters: Mapping[str, Any] | None = None
    """Output parameters: what came of it."""
    stdout: str | None = None
    """The first and the last 64 KiB, as of the next."""
    stderr: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: GenericError | None = None
    """Why it failed."""
    verdict: str | None = None
    """What the script found: `PASS`, `WARN`, `FAIL`, `SKIP`."""
    summary: str | None = None
    parent: str | None = None
    """Id of the execution, or the schedule, that led to it."""
    warnings: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether its status is final."""
        return self.status.is_final

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Execution':
        """Read an execution's representation, whichever part of it."""
        output = fields.get('output', {})
        return cls(
            id=fields['id'],
            status=Status(fields['status']),
            created_at=_time(fields, 'created_at'),
            started_at=_time(fields, 'started_at'),
            completed_at=_time(fields, 'completed_at'),
            stdout=output.get('stdout'),
            stderr=output.get('stderr'),
            error=GenericError.of(fields['error']) if 'error' in fields else None,
            trigger=_trigger(fields, 'trigger'),
            stop_trigger=_trigger(fields, 'stop_trigger'),
            warnings=tuple(fields.get('warnings', ())),
            fields=fields,
            **{name: fields.get(name) for name in _AS_ANSWERED},
        )


_AS_ANSWERED = (
    'entity',
    'script_id',
    'instance',
    'duration_ms',
    'queue_position',
    'progress',
    'progress_message',
    'parameters',
    'exit_code',
    'signal',
    'verdict',
    'summary',
    'parent',
)
"""Fields of an execution that are shown as they were answered."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a script said of how far it is."""

    percent: float | None
    """0 to 100; None where it has only told what it is at."""
    message: str | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that a script wrote."""

    number: int
    """It grows, over both streams; a gap is told by `Dropped`."""
    stream: str
    """`stdout` or `stderr`."""
    text: str
    time: datetime
    whole: bool
    """False where bytes of it were dropped."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Line':
        """Read a line of an output."""
        return cls(
            number=fields['number'],
            stream=fields['stream'],
            text=fields['text'],
            time=datetime.fromisoformat(fields['time']),
            whole=fields.get('whole', True),
        )


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Lines of which nothing is kept: the script wrote more than is, or faster than was read."""

    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a script left."""

    path: str
    """Names with slashes between."""
    size: int
    media_type: str
    """By the name alone."""
    sha256: str
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'Artifact':
        """Read an entry of the list."""
        return cls(
            path=fields['path'],
            size=fields['size'],
            media_type=fields['media_type'],
            sha256=fields['sha256'],
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True)
class WaitingLine:
    """The executions that wait for a place: all, or those of an entity."""

    paused: bool
    """Whether nobody is let in."""
    waiting: int
    oldest_wait_sec: float | None
    """How long who has waited longest has; None where nobody waits."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> 'WaitingLine':
        """Read it as it is answered."""
        return cls(
            paused=fields['paused'],
            waiting=fields['waiting'],
            oldest_wait_sec=fields.get('oldest_wait_sec'),
        )


Event = Execution | Progress | Line | Dropped
"""What following an execution tells: its status, and what its script says and writes."""


def _trigger(fields: Mapping[str, Any], name: str) -> Trigger | None:
    return Trigger.of(fields[name]) if name in fields else None


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(fields[name]) if name in fields else None
