# SPDX-License-Identifier: Apache-2.0
"""What an archive of evidence holds, and what of it there is room for."""

from dataclasses import replace
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from gateway_node.evidence.archiving import archived, Taken
from gateway_node.evidence.begun import Begun, Ended, Logged
from gateway_node.evidence.evidence_parts import fitted, Part, SUMMARY
from gateway_node.evidence.machine import machine_figures, system_versions
from gateway_node.evidence.policies import keeps
from gateway_node.evidence.seen_robot import graph_document, unavailable, with_masks
from gateway_node.evidence.values import (
    DiagnosticChange,
    DiagnosticStatus,
    GraphPicture,
    LogLine,
    TopicPicture,
)
from gateway_node.executions.values import ExecutionStatus
from gateway_node.masking import MASK
from gateway_node.scripts.evidence_policy import EvidencePolicy, EvidenceWhen
from gateway_node.scripts.values import Verdict

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
MIB = 1024 * 1024
POLICY = EvidencePolicy(when=EvidenceWhen.ALWAYS)
ENDED = Ended(
    at=AT,
    monotonic=20,
    graph=graph_document(GraphPicture(nodes=('/a',), topics={}, services={})),
    node_parameters={'node': '/a', 'values': {'speed': 2}},
    machine={'load': [1]},
)


def begun(**fields: Any) -> Begun:
    """Return what was seen at 10 s."""
    return Begun(policy=POLICY, at=AT, monotonic=10, **fields)


def line(received: float, level: str = 'INFO') -> LogLine:
    """Return a line."""
    return LogLine(received=received, at=AT, level=level, node='arm', message=f'at {received}')


def taken(before: Begun, *lines: LogLine, **fields: Any) -> Taken:
    """Return what was taken up to 20 s."""
    logged = Logged(lines=lines, changes=(), lost_lines=0, lost_changes=0)
    return Taken(
        execution_id='exec_1',
        begun=before,
        ended=ENDED,
        **{'logged': logged, 'versions': {'gateway': '1'}, **fields},
    )


def documents(of: Taken, **options: Any) -> dict[str, Any]:
    """Return the documents of an archive by name."""
    kept = archived(of, options.get('known', ()), MIB)
    return {
        part.name: json.loads(part.content) for part in kept.parts if part.name.endswith('.json')
    }


@pytest.mark.parametrize(
    ('when', 'status', 'verdict', 'kept'),
    [
        ('always', ExecutionStatus.COMPLETED, None, True),
        ('always', ExecutionStatus.TERMINATED, None, True),
        ('on_failure', ExecutionStatus.COMPLETED, Verdict.PASS, False),
        ('on_failure', ExecutionStatus.COMPLETED, Verdict.WARN, False),
        ('on_failure', ExecutionStatus.COMPLETED, Verdict.FAIL, True),
        ('on_failure', ExecutionStatus.FAILED, None, True),
        ('on_failure', ExecutionStatus.TERMINATED, None, False),
        ('never', ExecutionStatus.FAILED, Verdict.FAIL, False),
    ],
)
def test_a_policy_says_of_which_ends_evidence_is_kept(
    when: str, status: ExecutionStatus, verdict: Verdict | None, kept: bool
) -> None:
    """A failure is what failed, and what found one."""
    assert keeps(EvidencePolicy(when=EvidenceWhen(when)), status, verdict) is kept


def test_lines_say_whether_they_are_from_before_during_or_after() -> None:
    """And the summary counts them, and their levels."""
    of = taken(begun(lines=(line(9),)), line(10, 'ERROR'), line(19.9), line(20))
    kept = archived(of, (), MIB)
    (text,) = (part.content for part in kept.parts if part.name == 'rosout.ndjson')
    told = [json.loads(each)['phase'] for each in text.splitlines()]
    assert told == ['before', 'during', 'during', 'after']
    assert documents(of)[SUMMARY]['rosout'] == {
        'before': 1,
        'during': 2,
        'after': 1,
        'levels': {'INFO': 3, 'ERROR': 1},
    }


def test_pictures_are_told_with_their_difference() -> None:
    """Of the graph and of the node's parameters."""
    topic = TopicPicture(types=('a/msg/B',), publishers=1, subscribers=0)
    picture = GraphPicture(nodes=('/a', '/b'), topics={'/t': topic}, services={})
    of = taken(
        begun(
            graph=graph_document(picture),
            node_parameters={'node': '/a', 'values': {'speed': 1}},
        )
    )
    told = documents(of)
    assert told['graph.json']['differences'] == [
        {'path': '/nodes/~1b', 'before': 1},
        {
            'path': '/topics/~1t',
            'before': {'types': ['a/msg/B'], 'publishers': 1, 'subscribers': 0},
        },
    ]
    assert told['node_parameters.json']['differences'] == [
        {'path': '/values/speed', 'before': 1, 'after': 2}
    ]
    assert told[SUMMARY]['graph'] == {'differences': 2}


def test_what_was_not_seen_says_why() -> None:
    """In the part and in the summary; everything else is there."""
    told = documents(taken(begun(graph=unavailable('it hangs'))))
    assert told['graph.json']['before'] == {'unavailable': 'it hangs'}
    assert told[SUMMARY]['graph'] == {'unavailable': 'it hangs'}
    assert 'differences' not in told['graph.json']


def test_diagnostics_are_told_as_they_were_and_as_they_changed() -> None:
    """Values that look like secrets are masked."""
    was = DiagnosticStatus(name='imu', level='OK', message='', values={'api_key': 'x', 'n': '1'})
    change = DiagnosticChange(
        received=11, at=AT, status=replace(was, level='ERROR', message='hot'), before=was
    )
    logged = Logged(lines=(), changes=(change,), lost_lines=0, lost_changes=2)
    told = documents(taken(begun(statuses=(was,)), logged=logged))
    assert told['diagnostics.json']['at_begin'][0]['values'] == {'api_key': MASK, 'n': '1'}
    assert told['diagnostics.json']['changes'][0]['status']['level'] == 'ERROR'
    assert told[SUMMARY]['diagnostics'] == {
        'statuses': 1,
        'not_ok_at_begin': [],
        'changes': 1,
        'lost': 2,
    }


def test_a_summary_says_what_is_missing_and_what_is_masked() -> None:
    """Nobody takes a half for the whole."""
    given = {'ROS_DOMAIN_ID': '7', 'GITHUB_TOKEN': 'x', 'A': 'http://me:pw@h/'}
    environment = {'variables': with_masks(given)}
    urls = {'cameras': ['rtsp://me:pw@h/1'], 'gains': [1.0, 2.0], 'names': ['left']}
    assert with_masks(urls) == urls | {'cameras': MASK}
    told = documents(taken(begun(environment=environment), missing='killed'))
    assert (told[SUMMARY]['complete'], told[SUMMARY]['missing']) == (False, 'killed')
    assert told[SUMMARY]['environment'] == {'variables': 3, 'masked': ['A', 'GITHUB_TOKEN']}
    assert told['environment.json']['variables']['ROS_DOMAIN_ID'] == '7'


def test_what_there_is_no_room_for_is_left_out_and_told() -> None:
    """The end of lines is kept; the most important goes first."""
    lines = b''.join(b'line %d\n' % number for number in range(100))
    kept = fitted(
        [
            Part(name='a', content=b'12345'),
            Part(name='log', content=lines, may_be_cut=True),
            Part(name='b', content=b'x' * 200),
            Part(name='c', content=b'yy'),
        ],
        50,
    )
    assert [part.name for part in kept.parts] == ['a', 'log', 'c']
    log = kept.parts[1]
    assert log.content.endswith(b'line 99\n')
    assert log.content == lines[log.cut_bytes :]
    assert lines[log.cut_bytes - 1 : log.cut_bytes] == b'\n'
    assert sum(len(part.content) for part in kept.parts) <= 50
    assert kept.left_out == (('b', 200),)


def test_a_line_that_does_not_fit_is_left_out() -> None:
    """Half of a line says nothing."""
    part = Part(name='log', content=b'x' * 100, may_be_cut=True)
    assert fitted([part], 50).left_out == (('log', 100),)


def test_the_machine_tells_its_figures() -> None:
    """What this one does not tell is left out."""
    figures = machine_figures(Path('/'))
    assert len(figures['load']) == 3
    assert 0 < figures['memory']['available_mb'] <= figures['memory']['total_mb']
    assert 0 < figures['disk']['free_mb'] <= figures['disk']['total_mb']
    assert figures['uptime_sec'] > 0
    assert system_versions()['kernel']
