# SPDX-License-Identifier: Apache-2.0
"""Which executions somebody asks for, as values; a compiler a database makes queries of them.

What a filter leaves unset (None) holds for every execution. Several values of one field are
alternatives; all fields have to hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import datetime

from gateway_node.entities.values import EntityRef
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.values import ExecutionStatus, ExecutionType, TriggerType
from gateway_node.scripts.values import ScriptKind, Verdict


@dataclass(frozen=True, kw_only=True)
class TriggerFilter:
    """A trigger's type, and what of it where that is named."""

    type: TriggerType
    setting: str | None = None


@dataclass(frozen=True, kw_only=True)
class Moments:
    """A part of time; an end that is unset is open. An execution that lacks the moment is outside
    of any part but the whole."""

    after: datetime.datetime | None = None
    """The first moment that is within."""
    before: datetime.datetime | None = None
    """The first one after it that is not."""


EVER = Moments()


@dataclass(frozen=True, kw_only=True)
class InstanceFilter:
    """The instances of one name, of scripts of one name."""

    script: str
    """The id of the script, or its name as it was when the execution was accepted."""
    name: str


@dataclass(frozen=True, kw_only=True)
class InstanceVersion:
    """An instance, in one version."""

    ref: InstanceRef
    version: str


@dataclass(frozen=True, kw_only=True)
class ScriptVersion:
    """A script of an entity, in one version."""

    entity: EntityRef
    script_id: str
    version: str


@dataclass(frozen=True, kw_only=True)
class ExecutionFilter:
    """What holds for the executions that are asked for."""

    scope: Scope = EVERYTHING
    """How far who asks may look."""
    entity: EntityRef | None = None
    """The one entity below which they are asked for."""
    script_id: str | None = None
    """The one script of it."""
    statuses: frozenset[ExecutionStatus] | None = None
    entities: frozenset[str] | None = None
    """Paths (`apps/arm`), or patterns of these: `*` is any text, `?` one character."""
    located: frozenset[EntityRef] | None = None
    """What a component is made of: itself, and what is located on it."""
    scripts: frozenset[str] | None = None
    """Ids, or names as they were when the execution was accepted."""
    instances: frozenset[InstanceFilter] | None = None
    tags: frozenset[str] | None = None
    kinds: frozenset[ScriptKind] | None = None
    exit_codes: frozenset[int] | None = None
    signals: frozenset[int] | None = None
    vendor_codes: frozenset[str] | None = None
    """Of the error: values of `FailureReason`."""
    verdicts: frozenset[Verdict] | None = None
    metric: str | None = None
    """A name under which the script measured something."""
    execution_types: frozenset[ExecutionType] | None = None
    triggers: frozenset[TriggerFilter] | None = None
    stop_triggers: frozenset[TriggerFilter] | None = None
    usernames: frozenset[str] | None = None
    """Of who started it."""
    firings: frozenset[int] | None = None
    """Sequences of events that told that a trigger fired: what those started, or stopped."""
    parents: frozenset[str] | None = None
    """Ids of executions."""
    schedules: frozenset[str] | None = None
    """Ids of schedules: those themselves, what they started, and what they came with."""
    priorities: frozenset[int] | None = None
    terminating: bool | None = None
    scheduled: bool | None = None
    created: Moments = EVER
    started: Moments = EVER
    completed: Moments = EVER
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    """Inclusive, as the least is."""
    result_contains: str | None = None
    """A text in the JSON of the output parameters, in any case of its letters."""
    parameters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of input parameters by their names: texts as they are, all else as JSON."""
    present_versions: frozenset[ScriptVersion] | None = None
    """Every script in the version that it has now: without executions of others. The same bytes
    may be another script's too, so that a version alone tells nothing."""
    present_instances: frozenset[InstanceVersion] | None = None
    """Every instance in the version that it has now: without executions of others; those of none
    are wanted."""
