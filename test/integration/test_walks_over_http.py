# SPDX-License-Identifier: Apache-2.0
"""Lists walked by their links, while clients start and delete executions."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from pathlib import Path
import random

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway
from fakes import FakeClock
from made_up_history import BEGINS, LASTS, MadeUpHistory
import pytest
from yarl import URL

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter, Moments, TriggerFilter
from gateway_node.executions.matching import matches
from gateway_node.executions.values import Execution, ExecutionStatus, TriggerType
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

BASE = '/api/v1'
GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='arm')}))
SCRIPT = f'{BASE}/apps/arm/scripts/nap/executions'
MANIFEST = "scripts: [{id: nap, path: nap.sh, entities: ['apps/*']}]\n"
MIDDLE = BEGINS + LASTS / 2
QUERIES = {
    '': ExecutionFilter(),
    'status=completed': ExecutionFilter(statuses=frozenset({ExecutionStatus.COMPLETED})),
    'entity=apps/app_0*': ExecutionFilter(entities=frozenset({'apps/app_0*'})),
    'tag=brakes,arm': ExecutionFilter(tags=frozenset({'brakes', 'arm'})),
    'trigger=manual&min_duration_ms=500': ExecutionFilter(
        triggers=frozenset({TriggerFilter(type=TriggerType.MANUAL)}), min_duration_ms=500
    ),
    f'created_before={MIDDLE:%Y-%m-%dT%H:%M:%SZ}': ExecutionFilter(created=Moments(before=MIDDLE)),
    'parameter.depth=3': ExecutionFilter(parameters={'depth': frozenset({'3'})}),
}


@contextlib.asynccontextmanager
async def gateway(state_dir: Path, history: list[Execution]) -> AsyncIterator[ClientSession]:
    """Serve a gateway that knows a history, and a script that ends at once."""
    (state_dir / 'nap.sh').write_text('true\n')
    (state_dir / 'scripts.yaml').write_text(MANIFEST)
    store = await SqliteExecutionStore.open(await Database.open(state_dir), FakeClock(BEGINS))
    await store.record([Change.first(each, GATEWAY) for each in history])
    await store.close()
    parameters = {
        'scripts.manifest': str(state_dir / 'scripts.yaml'),
        'scripts.max_concurrent_executions': 1000,
        'scripts.max_concurrent_executions_per_entity': 1000,
        'history.max_executions': 0,
    }
    async with assembled_gateway(state_dir, GRAPH, parameters=parameters) as client:
        yield client


async def page(client: ClientSession, path: str) -> tuple[list[str], str | None]:
    """Return the ids of a page, and the path of the next one, of which the header tells too."""
    async with client.get(path) as response:
        body = await response.json()
        assert response.status == 200, body
        linked = response.links.get('next')
    following = body.get('next')
    assert (linked and URL(linked['url'], encoded=True).raw_path_qs) == following
    return [each['id'] for each in body['items']], following


async def start(client: ClientSession, started: list[str]) -> None:
    """Start an execution."""
    async with client.post(SCRIPT, json={'execution_type': 'now'}) as response:
        body = await response.json()
        assert response.status == 202, body
        started.append(body['id'])


async def start_many(client: ClientSession, started: list[str], each: int, clients: int) -> None:
    """Have many clients start executions, so many each."""

    async def one() -> None:
        for _ in range(each):
            await start(client, started)

    await asyncio.gather(*(one() for _ in range(clients)))


async def walk_upwards(
    client: ClientSession, enough: asyncio.Event, chance: random.Random
) -> list[str]:
    """Follow what comes, from the oldest on, until that is enough; return the ids."""
    visited: list[str] = []
    while True:
        last_round = enough.is_set()
        behind = f'&id_exclusive={visited[-1]}' if visited else ''
        path: str | None = f'{SCRIPT}?limit={chance.randrange(1, 9)}{behind}'
        while path is not None:
            ids, path = await page(client, path)
            visited += reversed(ids)
        if last_round:
            return visited


async def test_a_walk_upwards_misses_none_that_many_clients_start(tmp_path: Path) -> None:
    """An id that was given earlier may come on record later; who follows upwards sees it all the
    same."""
    await campaign(tmp_path, each=5, clients=12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_long_walks_upwards_miss_none(tmp_path: Path) -> None:
    """The same, for long."""
    await campaign(tmp_path, each=60, clients=40)


async def campaign(state_dir: Path, *, each: int, clients: int) -> None:
    """Let readers follow while clients start executions."""
    enough, started = asyncio.Event(), list[str]()
    async with gateway(state_dir, []) as client:
        walks = [
            asyncio.create_task(walk_upwards(client, enough, random.Random())) for _ in range(2)
        ]
        await start_many(client, started, each, clients)
        enough.set()
        for visited in await asyncio.gather(*walks):
            assert visited == sorted(started)


@pytest.mark.parametrize('query', QUERIES)
async def test_a_walk_by_links_visits_each_once(tmp_path: Path, query: str) -> None:
    """Downwards and upwards, in pages of any size, while executions are started and deleted."""
    history = list(MadeUpHistory(160).executions())
    chance = random.Random()
    async with gateway(tmp_path, history) as client:
        for sign in ('-', ''):
            deleted: set[str] = set()
            visited: list[str] = []
            # With one a page, and one more started with each, a walk upwards would never end.
            limit = chance.randrange(2, 40)
            path: str | None = f'{BASE}/executions?limit={sign}{limit}&{query}'
            while path is not None:
                (ids, path), *_ = await asyncio.gather(
                    page(client, path),
                    start(client, []),
                    delete_one(client, history, deleted, chance),
                )
                visited += ids if sign else reversed(ids)
            assert visited == sorted(set(visited), reverse=bool(sign))
            meant = {each.id for each in history if matches(QUERIES[query], each)}
            assert meant - deleted <= set(visited)
            known = {each.id for each in history}
            assert known & set(visited) <= meant
            history = [each for each in history if each.id not in deleted]


async def delete_one(
    client: ClientSession, history: list[Execution], deleted: set[str], chance: random.Random
) -> None:
    """Delete one of the executions that have ended, where one is left."""
    ended = [each for each in history if not each.is_open and each.id not in deleted]
    if not ended:
        return
    execution = chance.choice(ended)
    deleted.add(execution.id)
    async with client.delete(f'{BASE}/executions/{execution.id}') as response:
        assert response.status == 204, await response.text()
