# SPDX-License-Identifier: Apache-2.0
"""What has not begun can be called off, whatever leads to it."""

import asyncio

import pytest

from gateway_node.executions.call_off import CallOff


class Work:
    """Something that takes until it is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        finally:
            self.cancelled = True
        return 'never'


async def test_what_is_called_off_is_cancelled_and_comes_to_nothing() -> None:
    """Once it is cleaned up; further calls are harmless."""
    call_off, work = CallOff(), Work()
    working = asyncio.create_task(call_off.unless(work))
    await work.begun.wait()
    call_off.call()
    call_off.call()
    assert await working is None
    assert (work.cancelled, call_off.called) == (True, True)


async def test_what_was_called_off_before_does_not_begin() -> None:
    """Not even in the same turn of the loop."""
    call_off, work = CallOff(), Work()
    working = asyncio.create_task(call_off.unless(work))
    call_off.call()
    assert await working is None
    assert not work.begun.is_set()


async def test_what_comes_to_its_end_is_returned() -> None:
    """To call it off afterwards changes nothing."""
    call_off = CallOff()

    async def work() -> str:
        await asyncio.sleep(0)
        return 'done'

    assert await call_off.unless(work) == 'done'
    call_off.call()


async def test_errors_of_the_work_are_raised() -> None:
    """A time-out of its own is none of the caller's."""

    async def work() -> None:
        raise TimeoutError('its own')

    with pytest.raises(TimeoutError, match='its own'):
        await CallOff().unless(work)


async def test_who_is_cancelled_is_cancelled() -> None:
    """That is not taken for the call."""
    call_off, work = CallOff(), Work()
    working = asyncio.create_task(call_off.unless(work))
    await work.begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not call_off.called
