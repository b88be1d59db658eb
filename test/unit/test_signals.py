# SPDX-License-Identifier: Apache-2.0
"""The process's signals, as events of the loop."""

import asyncio
from collections.abc import Iterator
import os
import signal
import time

import pytest

from gateway_node.signals import EndSignals, ONE_REQUEST_SEC

ASKING = (signal.SIGINT, signal.SIGTERM)
ALL = (*ASKING, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers_of_the_test_run() -> Iterator[None]:
    """Give back what signals mean to the process that runs the tests."""
    before = {number: signal.getsignal(number) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def signalled(*numbers: signal.Signals) -> None:
    """Signal this process; return when the loop has called what is called then."""
    loop = asyncio.get_running_loop()
    handled = asyncio.Event()
    for number in numbers:
        os.kill(os.getpid(), number)
    # The bytes of signals come to the loop in their order (signal.set_wakeup_fd).
    loop.add_signal_handler(signal.SIGUSR1, handled.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    async with asyncio.timeout(10):
        await handled.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


async def nothing() -> None:
    """Do what SIGHUP asks for here."""


@pytest.mark.parametrize('again', ASKING)
async def test_what_comes_within_a_second_of_the_first_signal_is_one_request(
    again: signal.Signals,
) -> None:
    """Whichever of the two it is; what comes later asks for a quick end."""
    signals = EndSignals(ends_with_terminal=False)
    signals.started(nothing)
    begun = time.monotonic()
    await signalled(signal.SIGINT)
    assert signals.end.is_set()
    async with asyncio.timeout(10):
        while not signals.kill.is_set():
            await signalled(again)
    assert time.monotonic() - begun > ONE_REQUEST_SEC


async def test_once_closed_signals_mean_nothing() -> None:
    """The process ends by itself then, with its own status and without a traceback."""
    signals = EndSignals(ends_with_terminal=False)
    signals.close()
    for number in ASKING:
        os.kill(os.getpid(), number)
    await signalled()
    assert not signals.end.is_set()
