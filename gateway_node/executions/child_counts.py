# SPDX-License-Identifier: Apache-2.0
"""How the children of an execution stand, counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway_node.executions.documents import Summary
from gateway_node.executions.values import ExecutionStatus
from gateway_node.scripts.values import Verdict


@dataclass(frozen=True, kw_only=True)
class ChildCounts:
    """Of the executions that name one as their parent, and are kept."""

    by_status: Mapping[ExecutionStatus, int] = field(default_factory=dict)
    by_verdict: Mapping[Verdict, int] = field(default_factory=dict)
    """Of those that found something."""

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.by_status.values())


NO_CHILDREN = ChildCounts()


def shown_counts(counts: ChildCounts) -> Summary:
    """Return them as JSON values."""
    return {
        'total': counts.total,
        'by_status': {each.value: counts.by_status.get(each, 0) for each in ExecutionStatus},
        'by_verdict': {
            each.value: counts.by_verdict[each] for each in Verdict if each in counts.by_verdict
        },
    }
