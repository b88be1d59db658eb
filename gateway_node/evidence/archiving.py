# SPDX-License-Identifier: Apache-2.0
"""All that was taken of an execution, as an archive with a summary. Pure, and for a thread."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.evidence.begun import AFTER_SEC, BEFORE_SEC, Begun, Ended, Logged
from gateway_node.evidence.differences import difference_of, Sides
from gateway_node.evidence.evidence_parts import Fitted, fitted, Part, SUMMARY
from gateway_node.evidence.known_parts import json_part, lines_part
from gateway_node.evidence.seen_robot import (
    diagnostics_document,
    is_there,
    Json,
    line_document,
    unavailable,
)
from gateway_node.evidence.values import DiagnosticStatus
from gateway_node.masking import MASK

_BEFORE_AND_AFTER = Sides(one='before', other='after')


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken of an execution."""

    execution_id: str
    begun: Begun
    ended: Ended
    logged: Logged
    versions: Mapping[str, str]
    missing: str = ''
    """Why this is not all; empty where it is."""


def archived(taken: Taken, known: Iterable[Part], max_bytes: int) -> Fitted:
    """Return what was seen, and what is `known` beside, as far as there is room; the summary
    first, for which there always is."""
    begun, ended = taken.begun, taken.ended
    lines = [
        line_document(line, _phase(line.received, taken))
        for line in (*begun.lines, *taken.logged.lines)
    ]
    graph = _before_and_after(begun.graph, ended.graph)
    parameters = _before_and_after(begun.node_parameters, ended.node_parameters)
    machine = {'before': begun.machine, 'after': ended.machine}
    versions = dict(taken.versions)
    seen = (
        json_part('versions.json', versions),
        json_part('machine.json', machine),
        json_part('environment.json', begun.environment),
        json_part('node_parameters.json', parameters),
        json_part(
            'diagnostics.json',
            diagnostics_document(begun.statuses, taken.logged.changes, taken.logged.lost_changes),
        ),
        json_part('graph.json', graph),
        lines_part('rosout.ndjson', lines),
    )
    kept = fitted([*seen, *known], max_bytes)
    summary = {
        'execution': taken.execution_id,
        'complete': not taken.missing,
        **({'missing': taken.missing} if taken.missing else {}),
        'policy': begun.policy.document(),
        'taken': _times(begun, ended),
        'versions': versions,
        'machine': machine,
        'environment': _told_environment(begun.environment),
        'node_parameters': _told_difference(parameters),
        'diagnostics': _told_diagnostics(begun.statuses, taken.logged),
        'graph': _told_difference(graph),
        'rosout': _told_lines(lines, taken.logged.lost_lines),
        **_told_bag(begun),
        'parts': [*map(_told_part, kept.parts)],
        'left_out': [{'name': name, 'size': size} for name, size in kept.left_out],
    }
    return replace(kept, parts=(json_part(SUMMARY, summary), *kept.parts))


def _times(begun: Begun, ended: Ended) -> Json:
    return {
        'begin': rfc3339(begun.at),
        'end': rfc3339(ended.at),
        'before_sec': BEFORE_SEC,
        'after_sec': AFTER_SEC,
    }


def _told_part(part: Part) -> Json:
    told: Json = {'name': part.name, 'size': len(part.content)}
    return told | {'cut_bytes': part.cut_bytes} if part.cut_bytes else told


def _told_bag(begun: Begun) -> Json:
    """Return why there is no bag, where one was asked for."""
    topics = begun.policy.bag_topics
    return {'bag': {'topics': [*topics], 'fault': begun.bag_fault}} if topics else {}


def _phase(received: float, taken: Taken) -> str:
    if received < taken.begun.monotonic:
        return 'before'
    return 'during' if received < taken.ended.monotonic else 'after'


def _before_and_after(before: Json, after: Json) -> Json:
    both: Json = {'before': before, 'after': after}
    if not is_there(before) or not is_there(after):
        return both
    return both | difference_of(before, after, _BEFORE_AND_AFTER)


def _told_difference(both: Json) -> Json:
    """Return in how much two pictures differ; why that is not known, where it is not."""
    for picture in (both['before'], both['after']):
        if not is_there(picture):
            return unavailable(picture['unavailable'])
    return {'differences': len(both['differences']) + both.get('more', 0)}


def _told_environment(environment: Json) -> Json:
    if not is_there(environment):
        return environment
    variables = environment['variables']
    masked = [name for name, value in variables.items() if value == MASK]
    return {'variables': len(variables), 'masked': masked}


def _told_diagnostics(statuses: Sequence[DiagnosticStatus], logged: Logged) -> Json:
    not_ok = [status.name for status in statuses if status.level != 'OK']
    told: Json = {
        'statuses': len(statuses),
        'not_ok_at_begin': not_ok,
        'changes': len(logged.changes),
    }
    return told | {'lost': logged.lost_changes} if logged.lost_changes else told


def _told_lines(lines: list[dict[str, Any]], lost: int) -> Json:
    told: Json = {
        **dict.fromkeys(('before', 'during', 'after'), 0),
        **Counter(line['phase'] for line in lines),
        'levels': dict(Counter(line['level'] for line in lines)),
    }
    return told | {'lost': lost} if lost else told
