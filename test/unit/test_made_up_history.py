# SPDX-License-Identifier: Apache-2.0
"""The made-up history, which long lists are tested and measured with."""

from made_up_history import MadeUpHistory, Place, SCHEDULES

LENGTH = 2000


def test_rare_values_stand_at_one_place_each() -> None:
    """So many at the old end, in the middle and at the new end, and nowhere else."""
    history = MadeUpHistory(LENGTH)
    executions = list(history.executions())
    firsts = {Place.OLDEST: SCHEDULES, Place.MIDDLE: LENGTH // 2}
    for place in Place:
        found = [
            number for number, each in enumerate(executions) if each.exit_code == place.exit_code
        ]
        first = firsts.get(place, LENGTH - history.rare)
        assert found == list(range(first, first + history.rare))
        parent = history.parent_of(place)
        for name in ('script_id', 'script_name', 'parent'):
            value = parent if name == 'parent' else place.rare_name
            having = [n for n, each in enumerate(executions) if getattr(each, name) == value]
            assert having == found, name


def test_ids_grow_although_the_clock_was_set_back() -> None:
    """As those of real executions do."""
    executions = list(MadeUpHistory(LENGTH).executions())
    ids = [each.id for each in executions]
    created = [each.created_at for each in executions]
    assert ids == sorted(set(ids))
    assert created != sorted(created)
