# SPDX-License-Identifier: Apache-2.0
"""Whether what is around an execution is kept with it, as a script or who starts it says."""

from dataclasses import dataclass
import enum
import re
from typing import Any

from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation

MAX_BAG_TOPICS = 32
BAG_TOPICS = '/evidence/bag_topics'
"""Where they stand, in the metadata of a script and in an instance."""

_TOPIC = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+')


class EvidenceWhen(enum.Enum):
    """Of which executions evidence is kept."""

    NEVER = 'never'
    """Of none."""
    ON_FAILURE = 'on_failure'
    """Of those that failed, or whose verdict is FAIL."""
    ALWAYS = 'always'
    """Of all whose script was to be started."""


@dataclass(frozen=True, kw_only=True)
class EvidencePolicy:
    """When evidence is kept, and what of it has to be asked for."""

    when: EvidenceWhen
    bag_topics: tuple[str, ...] = ()
    """What is to be recorded meanwhile, fully qualified."""

    def document(self) -> str | dict[str, Any]:
        """Return the JSON value that `read_evidence` turns into this value again."""
        if not self.bag_topics:
            return self.when.value
        return {'when': self.when.value, 'bag_topics': list(self.bag_topics)}


_WHEN = {when.value: when for when in EvidenceWhen}

EVIDENCE_SCHEMA: dict[str, Any] = {
    'oneOf': [
        {'type': 'string', 'enum': list(_WHEN)},
        {
            'type': 'object',
            'properties': {
                'when': {'type': 'string', 'enum': list(_WHEN)},
                'bag_topics': {
                    'type': ['array', 'null'],
                    # In Python, `$` matches before a line end too.
                    'items': {
                        'type': 'string',
                        'pattern': f'^{_TOPIC.pattern}$',
                        'not': {'pattern': '\\n'},
                    },
                    'maxItems': MAX_BAG_TOPICS,
                },
            },
            'required': ['when'],
            'additionalProperties': False,
        },
    ]
}
"""Of what `read_evidence` takes."""


def read_evidence(value: object, path: str, violations: list[Violation]) -> EvidencePolicy | None:
    """Return the policy of a JSON value; None, with what is wrong added to the list."""
    if not isinstance(value, dict):
        when = _read_when(value, path, violations, also=', or an object with "when"')
        return None if when is None else EvidencePolicy(when=when)
    faults_before = len(violations)
    violations += [
        Violation(
            path=f'{path}/{pointer_token(name)}', reason='is unknown; allowed: when, bag_topics'
        )
        for name in value.keys() - {'when', 'bag_topics'}
    ]
    when = _read_when(value.get('when'), f'{path}/when', violations)
    topics = _read_topics(value.get('bag_topics'), f'{path}/bag_topics', violations)
    if when is None or len(violations) > faults_before:
        return None
    return EvidencePolicy(when=when, bag_topics=topics)


def _read_when(
    value: object, path: str, violations: list[Violation], also: str = ''
) -> EvidenceWhen | None:
    when = _WHEN.get(value) if isinstance(value, str) else None
    if when is None:
        reason = f'is {shown(value)}; allowed: {", ".join(_WHEN)}{also}'
        violations.append(Violation(path=path, reason=reason))
    return when


def _read_topics(value: object, path: str, violations: list[Violation]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        reason = f'is {shown(value)}; allowed: an array of topics'
    elif len(value) > MAX_BAG_TOPICS:
        reason = f'has {len(value)} items; allowed: at most {MAX_BAG_TOPICS}'
    else:
        violations += [
            Violation(
                path=f'{path}/{index}',
                reason=f'is {shown(topic)}; allowed: a topic with its whole name, such as /scan',
            )
            for index, topic in enumerate(value)
            if not isinstance(topic, str) or not _TOPIC.fullmatch(topic)
        ]
        return tuple(dict.fromkeys(each for each in value if isinstance(each, str)))
    violations.append(Violation(path=path, reason=reason))
    return ()
