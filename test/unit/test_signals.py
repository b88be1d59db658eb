# SPDX-License-Identifier: Apache-2.0
"""The process's signals, as events of the loop."""

import asyncio
from collections.abc import Iterator
import os
import signal
import subprocess
import sys
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
    """Signal this process; return when the loop has been told of each of them."""
    for number in numbers:
        os.kill(os.getpid(), number)
    # Python has then written their numbers to the wake-up descriptor, and the loop has read them.
    for _ in range(2):
        await asyncio.sleep(0)


CLOSES_UNDER_FIRE = """
import asyncio, os, signal, subprocess, sys
from gateway_node.signals import EndSignals

# CPython tells of a signal that comes while it begins to be ignored.
sys.unraisablehook = lambda unraisable: None
FIRES = 'import os, time\\nwhile os.getppid() == {0}: os.kill({0}, {1}); time.sleep(0.0001)'

# From the first shot on, and until they are taken over.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)

async def close_often():
    shooters = [
        subprocess.Popen([sys.executable, '-c', FIRES.format(os.getpid(), number)])
        for number in (signal.SIGTERM, signal.SIGINT)
    ]
    for _ in range(500):
        signals = EndSignals(ends_with_terminal=False)
        signals.started()
        await signals.end.wait()
        signals.close()
    return shooters

shooters = asyncio.run(close_often())
for shooter in shooters:
    shooter.kill()
    shooter.wait()
"""


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
    await signalled(*ASKING)
    assert not signals.end.is_set()


def test_no_moment_of_closing_lets_a_signal_end_the_process() -> None:
    """Not between two steps, and not while the loop and Python end after it."""
    ended = subprocess.run(
        [sys.executable, '-c', CLOSES_UNDER_FIRE],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, '')
