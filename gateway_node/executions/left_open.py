# SPDX-License-Identifier: Apache-2.0
"""What an earlier gateway left open is brought to an honest end before the API takes work."""

from dataclasses import dataclass
import logging

from gateway_node.clock import Clock
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.final_status import (
    final_changes,
    final_status_of,
    FinalStatus,
    status_without_outcome,
)
from gateway_node.executions.further_attempts import FurtherAttempts
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.runner_ports import Outcome, ScriptRunner
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Trigger,
    TriggerType,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What is left open on purpose."""

    schedules: tuple[Execution, ...]
    unstarted: tuple[Execution, ...]
    """Accepted, never started, and wanted to be started now; oldest first. What is to follow one
    that ended comes last."""
    groups: tuple[Execution, ...]
    """Their children end, or start, as what they are; a group follows from them."""


async def recover(
    *,
    store: ExecutionStore,
    runner: ScriptRunner,
    ledger: Ledger,
    clock: Clock,
    start_prepared: bool,
    held_scripts: HeldScripts,
    further_attempts: FurtherAttempts,
) -> Recovered:
    """End the trees that still run, and every open execution but groups, and schedules that nobody
    stopped.

    With `start_prepared` those that were accepted and never started are returned instead of
    ended. StoreUnavailable where the store cannot be used; the next start does it then.
    """
    outcomes = await runner.recover()
    changes: list[Change] = []
    schedules: list[Execution] = []
    unstarted: list[Execution] = []
    groups: list[Execution] = []
    following: list[Execution] = []
    for execution in await store.open_executions():
        outcome = outcomes.get(execution.id)
        never_started = outcome is None and execution.status is ExecutionStatus.PREPARED
        if execution.group is not None:
            groups.append(execution)
        elif execution.is_schedule and not execution.stop_accepted:
            schedules.append(execution)
        elif never_started and start_prepared and _may_start_again(execution):
            # The start may have been prepared, and a second one would meet what is left of it.
            await runner.discard(execution.id)
            unstarted.append(execution)
        else:
            changes += await _ending(execution, outcome, runner, clock)
            if (further := await further_attempts.after(changes[-1].execution)) is not None:
                following.append(further)
    ended = {change.execution.id for change in changes}
    if ended:
        _log.warning('ended %d executions that an earlier gateway left open', len(ended))
        await ledger.record(*changes, *(Change.first(each, GATEWAY) for each in following))
        for further in following:
            further_attempts.settle(further, recorded=True)
        for change in changes:
            held_scripts.add(change.execution)
    # Those that had ended before are among the outcomes too, where the gateway died at that.
    left_open = {each.id for each in (*schedules, *unstarted, *groups)}
    others = outcomes.keys() - ended - left_open
    if store.may_have_forgotten:
        others = {each for each in others if await store.get(each) is not None}
    runner.acknowledge(ended | others)
    return Recovered(
        schedules=tuple(schedules), unstarted=(*unstarted, *following), groups=tuple(groups)
    )


def _may_start_again(execution: Execution) -> bool:
    # The journal is not synced: after a power cut a script may have begun although nothing says
    # so. What is to run at most once, and was used up, is not tried a second time.
    return (
        not execution.stop_accepted
        and execution.execution_type is not ExecutionType.ONCE_ON_RESTART
    )


async def _ending(
    execution: Execution, outcome: Outcome | None, runner: ScriptRunner, clock: Clock
) -> list[Change]:
    changes = []
    if outcome is not None and execution.status is ExecutionStatus.PREPARED:
        # It was started; the gateway died before it could say so.
        running = transition(execution, ExecutionStatus.RUNNING, started_at=clock.now())
        changes.append(running)
        execution = running.execution
    final = await _final_status(execution, outcome, runner)
    end = transition(
        execution,
        final.status,
        final.cause,
        kept_bytes=None if outcome is None else outcome.kept_bytes,
        **final_changes(execution, final, outcome),
        stop_trigger=final.stop_trigger,
        completed_at=clock.now(),
    )
    return [*changes, end]


async def _final_status(
    execution: Execution, outcome: Outcome | None, runner: ScriptRunner
) -> FinalStatus:
    if outcome is not None:
        if execution.stop_trigger is None:
            execution = execution.evolve(stop_trigger=_unrecorded_stop(outcome))
        output = outcome.output
        if output is None:
            output = await runner.outputs.of(execution.id)
        return final_status_of(execution, outcome, output)
    began = 'while the script ran' if execution.started_at else 'before the script started'
    return status_without_outcome(execution, FailureReason.RESTARTED, f'the gateway died {began}')


def _unrecorded_stop(outcome: Outcome) -> Trigger | None:
    """Return who asked for the end where a store that stalled did not take it.

    A stop that was wanted was accepted then, whatever of the tree was left; the gateway's own
    reason counts where it met the script.
    """
    asked_by = outcome.end_asked_by
    if asked_by is not None and asked_by.is_wanted:
        return asked_by
    shutdown = Trigger(type=TriggerType.SYSTEM, setting='shutdown')
    return (asked_by or shutdown) if outcome.end_asked else None
