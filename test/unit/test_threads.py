# SPDX-License-Identifier: Apache-2.0
"""Threads for calls that may hang."""

import asyncio
import gc
import threading

import pytest

from gateway_node.threads import Look, Threads

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


async def test_threads_that_nobody_can_call_end() -> None:
    """Each with its last call: what was handed to them before is done."""
    threads = Threads('forsaken', 2)
    first = await threads.run(threading.current_thread)
    begun, release = threading.Event(), threading.Event()

    def hang() -> bool:
        begun.set()
        return release.wait(PATIENCE_SEC)

    hanging = threads.submit(hang)
    assert await asyncio.to_thread(begun.wait, PATIENCE_SEC)
    second = await threads.run(threading.current_thread)
    last = threads.submit(int, '7')
    del threads
    gc.collect()
    release.set()
    for thread in (first, second):
        await asyncio.to_thread(thread.join, PATIENCE_SEC)
        assert not thread.is_alive()
    assert hanging.result(0)
    assert last.result(0) == 7


async def test_where_no_thread_can_be_had_calls_wait_for_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As under a limit of processes: an error where there is none, and never a call unheard."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = Threads('refused', 2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', refuse)
        with pytest.raises(RuntimeError, match='new thread'):
            await threads.run(int, '1')
    release = threading.Event()
    first = asyncio.create_task(threads.run(release.wait))
    await asyncio.sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', refuse)
        second = asyncio.create_task(threads.run(int, '2'))
        await asyncio.sleep(0)
    release.set()
    async with asyncio.timeout(PATIENCE_SEC):
        assert await first is True
        assert await second == 2
        assert await threads.run(int, '3') == 3


async def test_a_thread_is_made_only_where_all_are_busy() -> None:
    """One call after the other is made in the same one."""
    threads = Threads('one', 4)
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(20)}
    assert names == {'one 1'}


async def test_there_are_no_more_threads_than_are_allowed() -> None:
    """However many calls there are, that many are made at one moment."""
    threads = Threads('few', 3)
    meeting = threading.Barrier(3)

    def meet() -> int:
        meeting.wait(PATIENCE_SEC)
        return threading.get_ident()

    assert len(set(await asyncio.gather(*(threads.run(meet) for _ in range(30))))) == 3


async def test_a_look_that_hangs_is_waited_for_once() -> None:
    """Who asks while it hangs is told so at once; when it has ended, the next one looks again."""
    release = threading.Event()
    calls: list[int] = []

    def look() -> int:
        calls.append(len(calls))
        release.wait(PATIENCE_SEC)
        return len(calls)

    threads = Threads('looker', 1)
    looking = Look(threads, look, 0.05)
    with pytest.raises(TimeoutError):
        await looking.answer()
    assert looking.hangs
    for _ in range(100):
        with pytest.raises(TimeoutError):
            await looking.answer()
    assert calls == [0]
    release.set()
    async with asyncio.timeout(PATIENCE_SEC):
        assert await threads.run(len, calls) == 1
        assert await looking.answer() == 2


async def test_a_look_sees_what_was_there_when_it_was_asked_for() -> None:
    """One that began before does not count; those who come together share the next one."""
    begun, go_on = threading.Event(), threading.Event()
    seen = ['old']
    looks = 0

    def look() -> str:
        nonlocal looks
        looks += 1
        found = seen[0]
        begun.set()
        go_on.wait(PATIENCE_SEC)
        return found

    looking = Look(Threads('looker', 1), look, PATIENCE_SEC)
    first = asyncio.create_task(looking.answer())
    assert await Threads('waiter', 1).run(begun.wait, PATIENCE_SEC)
    seen[0] = 'new'
    later = [asyncio.create_task(looking.answer()) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()
    assert await first == 'old'
    assert await asyncio.gather(*later) == ['new'] * 5
    assert looks == 2
