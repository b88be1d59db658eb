# SPDX-License-Identifier: Apache-2.0
"""Threads for calls that may hang."""

import asyncio
import threading

import pytest

from gateway_node.threads import Threads

PATIENCE_SEC = 20.0


def fail(text: str) -> None:
    raise ValueError(text)


async def test_a_call_gives_its_result_or_its_error() -> None:
    """As if it had been made here, in a thread that ends with the process."""
    threads = Threads('reader', 2)
    assert await threads.run(pow, 2, 5) == 32
    with pytest.raises(ValueError, match='broken'):
        await threads.run(fail, 'broken')
    thread = await threads.run(threading.current_thread)
    assert thread.daemon
    assert thread.name.startswith('reader ')


async def test_calls_that_hang_hold_up_their_own_kind_only() -> None:
    """Others have threads of their own; what waits behind one that hangs can be given up."""
    hanging, others = Threads('hanging', 1), Threads('others', 1)
    release, called = threading.Event(), threading.Event()
    first = asyncio.create_task(hanging.run(release.wait))
    second = asyncio.create_task(hanging.run(called.set))
    async with asyncio.timeout(PATIENCE_SEC):
        assert await others.run(int, '7') == 7
        assert not second.done()
        second.cancel()
        await asyncio.wait({second})
        release.set()
        assert await first is True
        assert await hanging.run(int, '8') == 8
    assert not called.is_set()


async def test_there_are_no_more_threads_than_are_allowed() -> None:
    """However many calls there are, that many are made at one moment."""
    threads = Threads('few', 3)
    meeting = threading.Barrier(3)

    def meet() -> int:
        meeting.wait(PATIENCE_SEC)
        return threading.get_ident()

    assert len(set(await asyncio.gather(*(threads.run(meet) for _ in range(30))))) == 3
