# SPDX-License-Identifier: Apache-2.0
"""What a script may say of the evidence that is kept of its executions."""

from fakes import FakeRobotWitness
import pytest

from gateway_node.evidence.policies import Policies
from gateway_node.evidence.vigil import Vigil
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


def test_what_an_instance_says_is_looked_at_only_where_it_asks_for_something_else() -> None:
    """Thousands that go with their script and say nothing of evidence cost nothing here."""
    looks: list[None] = []

    def declared() -> list[EvidencePolicy | None]:
        looks.append(None)
        return [always]

    always = EvidencePolicy(when=EvidenceWhen.ALWAYS)
    robot = FakeRobotWitness()
    vigil = Vigil(robot, Policies(EvidenceWhen.NEVER), declared)
    vigil.on_policy(None, None)
    vigil.on_policy(None, EvidencePolicy(when=EvidenceWhen.NEVER))
    assert looks == []
    vigil.on_policy(None, always)
    assert (len(looks), robot.kept) == (1, 1)
