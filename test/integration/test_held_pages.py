# SPDX-License-Identifier: Apache-2.0
"""Lists that are asked for again: found once as long as nothing happens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, serve_api
from fakes import add, new_execution, update
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.held_pages import MAX_EXECUTIONS, MAX_PAGES
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.values import ExecutionStatus, Progress

COMPLETED = ExecutionStatus.COMPLETED


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


@pytest.fixture
def asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the store was asked to find, one name for each time."""
    names: list[str] = []
    for name in ('find_texts', 'find_numbered'):
        find = getattr(api.store, name)

        async def counted(*args: Any, name: str = name, find: Any = find) -> Any:
            names.append(name)
            return await find(*args)

        monkeypatch.setattr(api.store, name, counted)
    return names


async def ids(api: Api, query: str = '') -> list[str]:
    """Return the ids that a list has."""
    _, body = await api.json('GET', f'/executions{query}')
    return [item['id'] for item in body['items']]


async def test_a_page_is_found_once_as_long_as_nothing_happens(api: Api, asked: list[str]) -> None:
    """Each query by itself, in both ways through a list; with `fields` as without."""
    await add(api.store, new_execution(1, status=COMPLETED))
    for query in (
        '',
        '',
        '?fields=id',
        '?status=completed',
        '?status=failed',
        '?page=1',
        '?page=1',
    ):
        await ids(api, query)
    assert asked == ['find_texts', 'find_texts', 'find_texts', 'find_numbered']
    assert await ids(api, '?status=failed') == []


async def test_whatever_happens_is_in_the_next_answer(api: Api, asked: list[str]) -> None:
    """What is new, what ended, what is gone; also where it is on record and nobody told it yet."""
    first = new_execution(1)
    await add(api.store, first)
    assert await ids(api) == [first.id]
    second = new_execution(2, status=COMPLETED)
    await add(api.store, second)
    assert await ids(api) == [second.id, first.id]
    await update(api.store, first.evolve(status=COMPLETED))
    assert await ids(api, '?status=completed') == [second.id, first.id]
    await api.store.remove([second.id], actor=GATEWAY, cause='test')
    assert await ids(api) == await ids(api, '?status=completed') == [first.id]
    assert len(asked) == 5


async def test_what_happens_while_a_page_is_found_is_in_the_next_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was found before is answered to who asked for it, and not held, though
    somebody else asked for another one since."""
    first, second = (new_execution(number, status=COMPLETED) for number in (1, 2))
    await add(api.store, first)
    found, told, find = asyncio.Event(), asyncio.Event(), api.store.find_texts

    async def find_slowly(wanted: ExecutionFilter, page: KeysetPage) -> Any:
        page_then = await find(wanted, page)
        if wanted.statuses is None:
            found.set()
            await told.wait()
        return page_then

    monkeypatch.setattr(api.store, 'find_texts', find_slowly)
    asking = asyncio.create_task(ids(api))
    await found.wait()
    await add(api.store, second)
    assert await ids(api, '?status=failed') == []
    told.set()
    assert await asking == [first.id]
    assert await ids(api) == [second.id, first.id]


async def test_what_is_open_is_shown_as_it_is(api: Api) -> None:
    """Progress is in no event of the log."""
    script_id = await api.upload('apps/temp_sensor')
    execution_id, script = await api.running('apps/temp_sensor', script_id)
    for percent in (10, 20):
        script.report(Progress(percent=percent))
        _, body = await api.json('GET', '/executions')
        assert body['items'][0]['progress'] == percent
    script.exit(0)
    await api.listener.wait_for(execution_id)
    _, body = await api.json('GET', '/executions')
    assert body['items'][0]['status'] == 'completed'


async def test_an_outdated_script_is_told_of_a_page_that_is_held(api: Api) -> None:
    """Versions are looked up each time."""
    script_id = await api.upload('apps/temp_sensor')
    _, script = await api.json('GET', f'/apps/temp_sensor/scripts/{script_id}')
    await add(
        api.store,
        new_execution(1, status=COMPLETED, script_id=script_id, script_version=script['version']),
    )
    _, body = await api.json('GET', '/executions')
    assert body['items'][0]['is_outdated'] is False
    await api.library.delete(new_execution(1).entity, script_id)
    _, body = await api.json('GET', '/executions')
    assert body['items'][0]['is_outdated'] is True


async def test_few_pages_are_held_and_no_long_ones(api: Api, asked: list[str]) -> None:
    """What they take has a bound."""
    for number in range(MAX_EXECUTIONS + 1):
        await add(api.store, new_execution(number, status=COMPLETED))
    for _ in range(2):
        await ids(api, f'?limit=-{MAX_EXECUTIONS + 1}')
    assert len(asked) == 2
    for _ in range(2):
        for size in range(1, MAX_PAGES + 2):
            await ids(api, f'?limit=-{size}')
    assert len(asked) == 2 + 2 * (MAX_PAGES + 1)
