# SPDX-License-Identifier: Apache-2.0
"""What a script may say of the evidence that is kept of its executions."""

import pytest

from gateway_node.scripts.evidence_policy import EvidencePolicy, EvidenceWhen, read_evidence
from gateway_node.violations import Violation


@pytest.mark.parametrize(
    ('document', 'policy'),
    [
        ('never', EvidencePolicy(when=EvidenceWhen.NEVER)),
        ({'when': 'on_failure'}, EvidencePolicy(when=EvidenceWhen.ON_FAILURE)),
        (
            {'when': 'always', 'bag_topics': ['/b', '/a', '/b']},
            EvidencePolicy(when=EvidenceWhen.ALWAYS, bag_topics=('/b', '/a')),
        ),
    ],
)
def test_a_policy_is_read_and_written_again(document: object, policy: EvidencePolicy) -> None:
    """As a text, or as an object; each topic once, in the order given."""
    violations: list[Violation] = []
    assert read_evidence(document, '/evidence', violations) == policy
    assert violations == []
    assert read_evidence(policy.document(), '', violations) == policy


def test_all_that_is_wrong_is_told_at_once() -> None:
    """By JSON Pointer, each with the value and what is allowed."""
    violations: list[Violation] = []
    document = {'when': 'sometimes', 'bag_topics': ['/a', 'b', 7], 'a/b': 1}
    assert read_evidence(document, '/evidence', violations) is None
    assert {each.path: each.reason for each in violations} == {
        '/evidence/a~1b': 'is unknown; allowed: when, bag_topics',
        '/evidence/when': "is 'sometimes'; allowed: never, on_failure, always",
        '/evidence/bag_topics/1': ("is 'b'; allowed: a topic with its whole name, such as /scan"),
        '/evidence/bag_topics/2': 'is 7; allowed: a topic with its whole name, such as /scan',
    }
