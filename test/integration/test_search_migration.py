# SPDX-License-Identifier: Apache-2.0
"""A database of the version before is searched as if it had always been so."""

import json
from pathlib import Path
import random
import sqlite3
from typing import Any

from earlier_form import to_document, to_parameters
from executions_at_random import execution_at_random, without_instance
from fakes import FakeClock, InMemoryExecutionStore, new_execution, remove
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter, Moments, TriggerFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.values import Execution, ExecutionStatus, TriggerType
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.schema import STEPS
from gateway_node.storage.terms import terms_of

BEFORE = STEPS[:3]
"""The steps of the version before."""
INSERT = """
    INSERT INTO executions (
        id, entity, script_id, status, scheduled, parent, exit_code, created_at, ended_sec,
        document, parameters
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def row_of(execution: Execution) -> tuple[object, ...]:
    """Return the row that the version before made of an execution."""
    return (
        execution.id,
        execution.entity.path,
        execution.script_id,
        execution.status.value,
        execution.is_schedule,
        execution.parent,
        execution.exit_code,
        execution.created_at.isoformat(),
        None if execution.is_open else 1.0,
        to_document(execution),
        to_parameters(execution),
    )


def known_before(chance: random.Random) -> list[Execution]:
    """Return executions as that version knew them, in the order of their commits."""
    numbers = chance.sample(range(100), 60)
    known = [execution_at_random(chance, number) for number in numbers]
    nothing: dict[str, Any] = {
        'group': None,
        'script_name': None,
        'script_kind': None,
        'script_tags': (),
        'verdict': None,
    }
    # Ids of one number: that version told them apart by what stands behind it.
    twins = [
        each.evolve(id=each.id[:-6] + '999999') for each in known[::7] if each.id[-6:] < '999999'
    ]
    return [without_instance(each.evolve(**nothing, metrics={})) for each in [*known, *twins]]


async def test_what_was_there_before_is_found(tmp_path: Path) -> None:
    """In the order of ids, whatever the order of commits was; under each filter; and what comes
    now comes behind it."""
    chance = random.Random(3)
    known = known_before(chance)
    before = await Database.open(tmp_path, steps=BEFORE)
    await before.write(lambda connection: connection.executemany(INSERT, map(row_of, known)))
    await before.close()
    new = new_execution(5_000_000, script_tags=('brakes',))
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    oracle = InMemoryExecutionStore(FakeClock())
    await oracle.record([Change.first(each, GATEWAY) for each in known])
    for each in (store, oracle):
        await each.record([Change.first(new, GATEWAY)])
    for wanted in filters_of(known[0]):
        for page in (KeysetPage(limit=-1000), KeysetPage(limit=7, reference=known[0].id)):
            assert await store.find(wanted, page) == await oracle.find(wanted, page)
    await store.close()


async def test_nothing_is_left_of_what_was_there_before_once_it_is_removed(
    tmp_path: Path,
) -> None:
    """Its terms are those that this version makes of it."""
    known = known_before(random.Random(4))
    before = await Database.open(tmp_path, steps=BEFORE)
    await before.write(lambda connection: connection.executemany(INSERT, map(row_of, known)))
    await before.close()
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    await remove(store, *(each.id for each in known if not each.is_open))
    terms = frozenset(
        (number, *term)
        for number, document in await database.read(_documents)
        for term in terms_of(json.loads(document))
    )
    assert frozenset(await database.read(_terms)) == terms
    await store.close()


def _documents(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute('SELECT number, document FROM executions').fetchall()


def _terms(connection: sqlite3.Connection) -> list[tuple[int | None, int, str]]:
    """Return what each execution is found by, and what is left of terms that none has."""
    query = 'SELECT number, field, value FROM terms LEFT JOIN postings USING (term)'
    return connection.execute(query).fetchall()


@pytest.mark.parametrize('seed', range(5))
def test_the_known_before_are_many_kinds(seed: int) -> None:
    """Some ids share a number, and some are out of order."""
    ids = [each.id for each in known_before(random.Random(seed))]
    assert len({each[:18] for each in ids}) < len(ids)
    assert ids != sorted(ids)


def filters_of(execution: Execution) -> list[ExecutionFilter]:
    """Return a filter for each indexed field."""
    failed = frozenset({ExecutionStatus.FAILED})
    return [
        ExecutionFilter(),
        ExecutionFilter(entity=execution.entity),
        ExecutionFilter(entities=frozenset({'apps/*'})),
        ExecutionFilter(script_id=execution.script_id),
        ExecutionFilter(statuses=failed),
        ExecutionFilter(statuses=frozenset({ExecutionStatus.PREPARED}) | failed),
        ExecutionFilter(exit_codes=frozenset({1})),
        ExecutionFilter(vendor_codes=frozenset({'x-gateway-timeout', 'x-gateway-shutdown'})),
        ExecutionFilter(triggers=frozenset({TriggerFilter(type=TriggerType.RESTART)})),
        ExecutionFilter(usernames=frozenset({'ann'})),
        ExecutionFilter(parents=frozenset({new_execution(0).id})),
        ExecutionFilter(schedules=frozenset({new_execution(2).id})),
        ExecutionFilter(tags=frozenset({'brakes'})),
        ExecutionFilter(created=Moments(after=execution.created_at)),
        ExecutionFilter(created=Moments(before=execution.created_at)),
    ]
