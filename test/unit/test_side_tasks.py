# SPDX-License-Identifier: Apache-2.0
"""Tasks that go on beside the requests."""

import asyncio

import pytest

from gateway_node.side_tasks import SideTasks


async def fail(message: str) -> None:
    raise ValueError(message)


async def end() -> None:
    return


async def wait() -> None:
    await asyncio.Event().wait()


async def test_the_first_failure_is_told_with_its_name_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever asks hears of it, before it or after it; each is logged with its traceback."""
    tasks = SideTasks()
    early = asyncio.create_task(tasks.failure())
    tasks.start('watch the weather', fail('rain'))
    tasks.start('watch the clock', fail('late'))
    async with asyncio.timeout(10):
        told = await early
        assert await tasks.failure() is told
    assert str(told) == (
        "a side task failed, which is a defect: watch the weather: ValueError('rain')"
    )
    assert [record.getMessage() for record in caplog.records] == [
        'a side task failed: watch the weather',
        'a side task failed: watch the clock',
    ]
    assert 'raise ValueError' in caplog.text


async def test_an_end_and_a_cancellation_are_no_failures() -> None:
    """Who owns a task may end it."""
    tasks = SideTasks()
    ended = tasks.start('end', end())
    waiting = tasks.start('wait', wait())
    await asyncio.wait({ended})
    waiting.cancel()
    await asyncio.wait({waiting})
    asking = asyncio.create_task(tasks.failure())
    await asyncio.sleep(0)
    assert not asking.done()
    asking.cancel()
