# SPDX-License-Identifier: Apache-2.0
"""What wants in, and what it is told: an order, a place in line, or why there will be no start."""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.confirmations import Confirmed
from gateway_node.executions.errors import (
    FeatureNotAvailable,
    NotStartable,
    RunnerUnavailable,
)
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.instance_refs import instance_of, InstanceRef
from gateway_node.executions.places import GroupLimit, Place
from gateway_node.executions.preconditions import PreconditionsUnmet
from gateway_node.executions.proximity import Proof
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.values import Execution, TriggerType
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)
from gateway_node.scripts.values import DEFAULT_PRIORITY, Script


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What wants in."""

    execution_id: str
    entity: EntityRef
    script_id: str
    parameters: Mapping[str, Any]
    arguments: tuple[str, ...]
    instance: InstanceRef | None = None
    """On behalf of which it is to run."""
    timeout_sec: float | None
    """None: the script's own, or the gateway's default."""
    secrets: tuple[str, ...] = ()
    """Where in the parameters of what is on record secrets are masked."""
    attempt: int = 1
    identity: str | None = None
    """The name of who has it started; None where nobody was authenticated."""
    scope: Scope = EVERYTHING
    """How far they may look."""
    priority: int = DEFAULT_PRIORITY
    group: GroupLimit | None = None
    ancestors: tuple[str, ...] = ()
    """Ids of the executions whose scripts led to it, its parent first."""
    expires_up_sec: float | None = None
    """When its start comes too late, by the time that all gateways on its store were up."""
    queue: bool = True
    """Whether a client's start waits where there is no place, and is not refused."""
    confirmed: Confirmed = True
    """Whether what the script says in its `confirmation` is; of what is accepted it was."""
    proof: Proof | None = None
    """What whoever asks says of being beside the robot; None where nobody stands there."""
    accepted: bool = False
    """Whether it is on record, and waits rather than being refused."""
    in_line: bool = False
    """Whether its record came with its place in line: whoever asks for the start of it says so,
    wherever its entity is."""
    runs: bool = True
    """Whether it takes a place in the line; what becomes a schedule and nothing else does not."""
    schedule_id: str | None = None
    """The schedule that it becomes, or that comes with it; it takes a place of its own."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Its ids: of the execution, of the schedule, or of both."""
        return (self.execution_id, *([self.schedule_id] if self.schedule_id else []))

    def check_seen(self, script: Script) -> None:
        """Return where who has it started sees the script, which may have another name by now, or
        other tags; ScriptNotFound, or, of what is accepted, NotStartable."""
        if self.scope.has(self.entity, script):
            return
        if self.accepted:
            raise NotStartable(
                FailureReason.SCRIPT_GONE,
                f'its script {script.id} is gone for who had it started, whose credential is '
                f'narrowed: {self.scope.missed_by(script)}',
            )
        raise ScriptNotFound(self.entity, self.script_id)

    def place(self, script: Script) -> Place:
        """Return the place that it needs."""
        return Place(
            execution_id=self.execution_id,
            entity=self.entity,
            script=script,
            priority=self.priority,
            group=self.group,
            ancestors=self.ancestors,
        )


def accepted(
    execution: Execution, group: GroupLimit | None = None, *, in_line: bool = False
) -> Candidate:
    """Return a recorded execution, or a schedule that becomes one, as a candidate; `group` is the
    bound of the group that it is of."""
    return Candidate(
        execution_id=execution.id,
        entity=execution.entity,
        script_id=execution.script_id,
        parameters=execution.input_parameters,
        arguments=execution.arguments,
        instance=instance_of(execution),
        timeout_sec=execution.timeout_sec,
        secrets=execution.secrets,
        attempt=execution.attempt,
        identity=_identity_of(execution),
        scope=EVERYTHING if execution.rights is None else execution.rights.scope,
        priority=execution.priority,
        expires_up_sec=execution.expires_up_sec,
        group=group,
        ancestors=execution.ancestors,
        accepted=True,
        in_line=in_line,
    )


def _identity_of(execution: Execution) -> str | None:
    if execution.trigger.type is TriggerType.CONDITION and execution.rights is not None:
        return execution.rights.name
    return execution.trigger.username


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A client's start that is not refused."""

    order: StartOrder
    waits: bool
    """Whether it stands in line, and starts once it has a place."""


@contextlib.contextmanager
def refusals_end_it() -> Iterator[None]:
    """Make of what refuses the start of an accepted execution the reason of its failure."""
    try:
        yield
    except (ScriptNotFound, ScriptsTurnedOff) as error:
        raise NotStartable(FailureReason.SCRIPT_GONE, str(error)) from error
    except ParametersInvalid as error:
        raise NotStartable(FailureReason.PARAMETERS_REFUSED, str(error)) from error
    except PreconditionsUnmet as error:
        reason = FailureReason.PRECONDITION_UNMET
        raise NotStartable(reason, str(error), told=error.told) from error
    except (FeatureNotAvailable, RunnerUnavailable, SchemaCheckUnavailable) as error:
        raise NotStartable(FailureReason.SPAWN_FAILED, str(error)) from error
