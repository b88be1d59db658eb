# SPDX-License-Identifier: Apache-2.0
"""What was seen of the robot, as JSON values. Pure.

What cannot be had is `{"unavailable": why}` in its place.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.evidence.values import (
    DiagnosticChange,
    DiagnosticStatus,
    GraphPicture,
    LogLine,
)
from gateway_node.masking import looks_secret, MASK

Json = dict[str, Any]


def unavailable(why: str) -> Json:
    """Return what stands for something that cannot be had."""
    return {'unavailable': why}


def is_there(document: Mapping[str, Any]) -> bool:
    """Tell whether something could be had."""
    return 'unavailable' not in document


def graph_document(picture: GraphPicture) -> Json:
    """Return the graph: of each name how many nodes there are, and topics and services by name."""
    document: Json = {
        'nodes': dict(Counter(picture.nodes)),
        'topics': {
            name: {
                'types': list(topic.types),
                'publishers': topic.publishers,
                'subscribers': topic.subscribers,
            }
            for name, topic in picture.topics.items()
        },
        'services': {name: list(types) for name, types in picture.services.items()},
    }
    return document | {'left_out': picture.left_out} if picture.left_out else document


def with_masks(values: Mapping[str, Any]) -> Json:
    """Return values by name with MASK for those that look like secrets."""
    return {
        name: MASK if any(looks_secret(name, text) for text in _texts(value)) else value
        for name, value in sorted(values.items())
    }


def _texts(value: Any) -> list[str]:
    """Return what of a value may give it away: itself, or what an array holds."""
    each = value if isinstance(value, list) else [value]
    # A name alone gives it away, whatever stands there.
    return ['', *(text for text in each if isinstance(text, str))]


def line_document(line: LogLine, phase: str) -> Json:
    """Return a line of `/rosout`."""
    told: Json = {
        'at': rfc3339(line.at),
        'phase': phase,
        'level': line.level,
        'node': line.node,
        'message': line.message,
    }
    return told | {'place': line.place} if line.place else told


def diagnostics_document(
    statuses: Sequence[DiagnosticStatus], changes: Sequence[DiagnosticChange], lost: int
) -> Json:
    """Return how `/diagnostics` stood, and what changed."""
    document: Json = {
        'at_begin': [*map(_status, statuses)],
        'changes': [*map(_change, changes)],
    }
    return document | {'lost': lost} if lost else document


def _status(status: DiagnosticStatus) -> Json:
    return {
        'name': status.name,
        'level': status.level,
        'message': status.message,
        'hardware_id': status.hardware_id,
        'values': with_masks(status.values),
    }


def _change(change: DiagnosticChange) -> Json:
    told: Json = {'at': rfc3339(change.at), 'status': _status(change.status)}
    return told if change.before is None else told | {'before': _status(change.before)}
