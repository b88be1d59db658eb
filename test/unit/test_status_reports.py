# SPDX-License-Identifier: Apache-2.0
"""What the status topic says, and how often."""

from dataclasses import replace
import datetime
import itertools
from typing import Any

from hypothesis import given, strategies
import pytest

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Progress,
    Trigger,
    TriggerType,
)
from gateway_node.ros.status_reports import ProgressCoalescer, Reporter, ReportLevel
from gateway_node.scripts.values import Verdict

MORNING = datetime.datetime(2026, 2, 14, 10, 30, tzinfo=datetime.UTC)
REPORTER = Reporter(
    path_of=lambda execution: f'/api/v1/{execution.entity.path}/executions/{execution.id}',
    component_of=lambda ref: f'host-of-{ref.entity_id}',
    gateway='robot7-5c1f0e',
)


def execution(percent: int | None = None, **changes: Any) -> Execution:
    """Return a running execution, its progress at `percent`."""
    return Execution(
        id='exec_1',
        entity=EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor'),
        script_id='check',
        script_version='v',
        execution_type=ExecutionType.NOW,
        status=ExecutionStatus.RUNNING,
        trigger=Trigger(type=TriggerType.MANUAL),
        created_at=MORNING,
        progress=None if percent is None else Progress(percent=percent),
    ).evolve(**changes)


def test_a_report_names_the_execution_and_its_component() -> None:
    """The name is the execution's path, hardware_id its component, message its status."""
    report = REPORTER.report(execution())
    assert report.name == '/api/v1/apps/temp_sensor/executions/exec_1'
    assert report.hardware_id == 'host-of-temp_sensor'
    assert report.message == 'running'


@pytest.mark.parametrize(
    ('why', 'message'),
    [
        ('the script exited with 3', 'failed: the script exited with 3'),
        ('no such file:\n\t\udc80 /x', 'failed: no such file: ? /x'),
        ('x' * 392, f'failed: {"x" * 392}'),
        ('x' * 393, f'failed: {"x" * 391}…'),
    ],
)
def test_a_report_of_a_failed_execution_says_why(why: str, message: str) -> None:
    """In one line of bounded length that every subscriber can be served."""
    failure = Failure(reason=FailureReason.SCRIPT_FAILED, message=why)
    report = REPORTER.report(execution(status=ExecutionStatus.FAILED, failure=failure))
    assert report.message == message


@pytest.mark.parametrize(
    ('status', 'level'),
    [
        (ExecutionStatus.PREPARED, ReportLevel.OK),
        (ExecutionStatus.RUNNING, ReportLevel.OK),
        (ExecutionStatus.COMPLETED, ReportLevel.OK),
        (ExecutionStatus.TERMINATED, ReportLevel.WARN),
        (ExecutionStatus.FAILED, ReportLevel.ERROR),
    ],
)
def test_the_level_follows_the_status(status: ExecutionStatus, level: ReportLevel) -> None:
    """OK, but WARN for terminated and ERROR for failed."""
    assert REPORTER.report(execution(status=status)).level is level


@pytest.mark.parametrize(
    ('status', 'verdict', 'level'),
    [
        (ExecutionStatus.COMPLETED, Verdict.PASS, ReportLevel.OK),
        (ExecutionStatus.COMPLETED, Verdict.SKIP, ReportLevel.OK),
        (ExecutionStatus.COMPLETED, Verdict.WARN, ReportLevel.WARN),
        (ExecutionStatus.COMPLETED, Verdict.FAIL, ReportLevel.ERROR),
        (ExecutionStatus.TERMINATED, Verdict.PASS, ReportLevel.WARN),
        (ExecutionStatus.TERMINATED, Verdict.FAIL, ReportLevel.ERROR),
        (ExecutionStatus.FAILED, Verdict.PASS, ReportLevel.ERROR),
    ],
)
def test_a_verdict_makes_the_level_worse_never_better(
    status: ExecutionStatus, verdict: Verdict, level: ReportLevel
) -> None:
    """Who watches levels looks for what is wrong with the robot."""
    assert REPORTER.report(execution(status=status, verdict=verdict)).level is level


def test_a_report_carries_every_value_of_an_ended_execution() -> None:
    """id, status, progress, entity, script_id, exit_code, started_at, completed_at, gateway,
    what the script found, its name, how it failed, and who started it; metrics as JSON."""
    ended = execution(
        45,
        status=ExecutionStatus.FAILED,
        exit_code=3,
        verdict=Verdict.WARN,
        summary='the tank is nearly empty',
        metrics={'litres': 4.5, 'leaks': 0},
        script_name='check.sh',
        failure=Failure(reason=FailureReason.SCRIPT_FAILED, message='the script exited with 3'),
        trigger=Trigger(type=TriggerType.MANUAL, username='anna'),
        stop_trigger=Trigger(type=TriggerType.SYSTEM, setting='timeout'),
        started_at=MORNING,
        completed_at=MORNING + datetime.timedelta(milliseconds=1500),
    )
    assert dict(REPORTER.report(ended).values) == {
        'id': 'exec_1',
        'status': 'failed',
        'progress': '45',
        'entity': 'apps/temp_sensor',
        'script_id': 'check',
        'exit_code': '3',
        'started_at': '2026-02-14T10:30:00.000Z',
        'completed_at': '2026-02-14T10:30:01.500Z',
        'gateway': 'robot7-5c1f0e',
        'verdict': 'WARN',
        'summary': 'the tank is nearly empty',
        'metrics': '{"litres": 4.5, "leaks": 0}',
        'script_name': 'check.sh',
        'vendor_code': 'x-gateway-script-failed',
        'username': 'anna',
        'stopped_by': '',
        'instance': '',
        'firing': '',
        'stop_firing': '',
    }


def test_a_report_names_who_stopped_an_execution() -> None:
    """Beside who started it."""
    stop = Trigger(type=TriggerType.MANUAL, setting='stop', username='bert')
    stopped = execution(status=ExecutionStatus.TERMINATED, stop_trigger=stop)
    values = dict(REPORTER.report(stopped).values)
    assert (values['username'], values['stopped_by']) == ('', 'bert')


def test_a_report_names_the_instance_and_what_fired() -> None:
    """By the sequences that the log has."""
    by = Trigger(type=TriggerType.CONDITION, setting='/battery below 20', firing=41)
    fired = execution(instance='nightly', trigger=by, stop_trigger=replace(by, firing=52))
    values = dict(REPORTER.report(fired).values)
    assert (values['instance'], values['firing'], values['stop_firing']) == ('nightly', '41', '52')


def test_what_is_not_known_yet_is_an_empty_value() -> None:
    """The keys are always the same, so that a subscriber can rely on them."""
    early = dict(REPORTER.report(execution()).values)
    unknown = {'progress', 'exit_code', 'started_at', 'completed_at', 'verdict', 'summary'}
    unknown |= {'metrics', 'script_name', 'vendor_code', 'username', 'stopped_by'}
    unknown |= {'instance', 'firing', 'stop_firing'}
    assert {name for name, value in early.items() if value == ''} == unknown


def test_the_first_progress_passes_at_once() -> None:
    """Coalescing delays nothing where there is nothing to coalesce."""
    assert ProgressCoalescer(0.1).offer(execution(1), 0.0)


def test_progress_within_the_interval_waits_and_the_last_one_counts() -> None:
    """Of all that comes within an interval the last one is told when the interval is over."""
    coalescer = ProgressCoalescer(0.1)
    coalescer.offer(execution(1), 10.0)
    assert not coalescer.offer(execution(2), 10.01)
    assert not coalescer.offer(execution(3), 10.09)
    assert coalescer.take_due(10.05) == ()
    due = coalescer.next_due()
    assert due is not None
    assert due == pytest.approx(10.1)
    assert coalescer.take_due(due) == (execution(3),)
    assert coalescer.next_due() is None


def test_executions_do_not_wait_for_each_other() -> None:
    """The limit is each execution's own."""
    coalescer = ProgressCoalescer(0.1)
    assert coalescer.offer(execution(1), 0.0)
    assert coalescer.offer(execution(1, id='exec_2'), 0.0)


def test_a_waiting_progress_goes_before_a_final_status_without_it() -> None:
    """The last progress is told even where the final status does not carry it."""
    coalescer = ProgressCoalescer(0.1)
    coalescer.offer(execution(1), 0.0)
    coalescer.offer(execution(99), 0.01)
    final = execution(status=ExecutionStatus.COMPLETED)
    assert coalescer.settle(final) == execution(99)
    assert coalescer.next_due() is None


def test_a_final_status_that_carries_the_progress_stands_for_it() -> None:
    """What the final status says itself is not said twice."""
    coalescer = ProgressCoalescer(0.1)
    coalescer.offer(execution(1), 0.0)
    coalescer.offer(execution(99), 0.01)
    assert coalescer.settle(execution(99, status=ExecutionStatus.COMPLETED)) is None
    assert coalescer.take_all() == ()


def test_progress_after_the_end_is_not_told() -> None:
    """Nothing follows the final status."""
    coalescer = ProgressCoalescer(0.1)
    assert not coalescer.offer(execution(1, status=ExecutionStatus.FAILED), 0.0)
    assert coalescer.take_all() == ()


def test_everything_kept_can_be_taken_at_once() -> None:
    """At the stop nothing waits for its turn."""
    coalescer = ProgressCoalescer(0.1)
    coalescer.offer(execution(1), 0.0)
    coalescer.offer(execution(2), 0.0)
    assert coalescer.take_all() == (execution(2),)
    assert coalescer.next_due() is None


@given(
    strategies.lists(
        strategies.tuples(
            strategies.floats(min_value=0, max_value=0.3), strategies.integers(0, 100)
        ),
        min_size=1,
        max_size=60,
    )
)
def test_the_rate_holds_and_the_last_progress_is_always_told(
    steps: list[tuple[float, int]],
) -> None:
    """Whatever comes when, two messages are an interval apart and the last progress is told."""
    coalescer = ProgressCoalescer(0.1)
    now = 0.0
    told: list[tuple[float, Execution]] = []
    for pause, percent in steps:
        now += pause
        told += [(now, due) for due in coalescer.take_due(now)]
        if coalescer.offer(execution(percent), now):
            told.append((now, execution(percent)))
    due_at = coalescer.next_due()
    if due_at is not None:
        told += [(due_at, due) for due in coalescer.take_due(due_at)]
    assert told[-1][1] == execution(steps[-1][1])
    moments = [moment for moment, _ in told]
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in itertools.pairwise(moments))
