# SPDX-License-Identifier: Apache-2.0
"""Statuses of `/diagnostics` are kept by name, and asked for by globs."""

import random

import pytest

from gateway_node.executions.globs import paths_like
from gateway_node.ros import diagnostic_statuses
from gateway_node.ros.diagnostic_statuses import DiagnosticStatuses, Status


def status(name: str, level: int) -> Status:
    """Return a status."""
    return Status(name=name, level=level, message='as it is')


def test_the_worst_of_all_messages_counts() -> None:
    """Each name as it was told last; of equally bad ones the first by name."""
    statuses = DiagnosticStatuses()
    statuses.want(['motor*'])
    statuses.take([status('motor b', 1), status('motor a', 0), status('laser', 3)])
    statuses.take([status('motor c', 1)])
    assert statuses.worst('motor*') == status('motor b', 1)
    statuses.take([status('motor b', 0)])
    assert statuses.worst('motor*') == status('motor c', 1)


def test_a_message_tells_something_of_globs_that_match_it_or_nothing_yet() -> None:
    """That there is none of a name is known once a message came without it."""
    statuses = DiagnosticStatuses()
    statuses.want(['motor*', 'laser', 'camera [left]'])
    assert statuses.take([status('motor', 1)]) == {'motor*', 'laser', 'camera [left]'}
    assert statuses.take([status('camera [left]', 1)]) == {'laser', 'camera [left]'}
    assert statuses.worst('laser') is None
    assert statuses.worst('camera [left]') == status('camera [left]', 1)


def test_a_glob_that_is_wanted_later_knows_what_was_told_before() -> None:
    """And one that is no more wanted is not asked for."""
    statuses = DiagnosticStatuses()
    statuses.want(['motor'])
    statuses.take([status('motor', 0), status('laser', 2)])
    statuses.want(['l?ser'])
    assert statuses.worst('l?ser') == status('laser', 2)
    assert statuses.take([status('motor', 1)]) == set()
    statuses.clear()
    assert statuses.worst('l?ser') is None


def test_names_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told longest ago goes first."""
    monkeypatch.setattr(diagnostic_statuses, 'MAX_STATUSES', 2)
    statuses = DiagnosticStatuses()
    statuses.want(['*'])
    statuses.take([status('a', 3), status('b', 2)])
    statuses.take([status('a', 1)])
    statuses.take([status('c', 0)])
    assert statuses.worst('*') == status('a', 1)


@pytest.mark.parametrize('seed', range(5))
def test_the_worst_is_known_without_a_look_at_each(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each were looked at, whatever is told, forgotten and asked for."""
    monkeypatch.setattr(diagnostic_statuses, 'MAX_STATUSES', 6)
    chance = random.Random(seed)
    statuses = DiagnosticStatuses()
    told: dict[str, Status] = {}
    globs = ['*', 'a*', '?1', 'b1', 'none']
    for _ in range(400):
        wanted = chance.sample(globs, 3)
        statuses.want(wanted)
        each = status(chance.choice('abc') + chance.choice('123'), chance.randrange(4))
        statuses.take([each])
        told.pop(each.name, None)
        told[each.name] = each
        for forgotten in list(told)[:-6]:
            del told[forgotten]
        for glob in chance.sample(wanted, 2):
            found = [told[name] for name in sorted(told) if paths_like([glob], [name])]
            worst = max(found, key=lambda status: status.level, default=None)
            assert statuses.worst(glob) == worst
