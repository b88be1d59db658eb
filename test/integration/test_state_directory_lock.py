# SPDX-License-Identifier: Apache-2.0
"""One gateway at a time on a state directory."""

from collections.abc import Iterator
import datetime
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

from fakes import FakeClock
from import_path import IMPORT_PATH
import pytest
from waiting import DEADLINE_SEC

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.storage.errors import StateDirectoryInUse
from gateway_node.storage.lock import FILE_NAME, StateDirectoryLock

HOLDS_THE_LOCK = """
import pathlib, sys
from fakes import FakeClock
from gateway_node.storage.lock import StateDirectoryLock
lock = StateDirectoryLock.acquire(pathlib.Path(sys.argv[1]), FakeClock())
print('held', flush=True)
sys.stdin.read()
"""
LEAVES_A_CHILD = """
import pathlib, subprocess, sys
from fakes import FakeClock
from gateway_node.storage.lock import StateDirectoryLock
lock = StateDirectoryLock.acquire(pathlib.Path(sys.argv[1]), FakeClock())
child = subprocess.Popen(['cat'], stdin=sys.stdin, stdout=subprocess.DEVNULL, close_fds=False)
print(child.pid, flush=True)
child.wait()
"""


def holding(script: str, state_dir: Path) -> subprocess.Popen[str]:
    """Start a process that takes the lock and says a line once it holds it."""
    return subprocess.Popen(
        [sys.executable, '-c', script, str(state_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': IMPORT_PATH},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Wait for the line."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line
    return line


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return another process that holds the lock on `tmp_path`."""
    with holding(HOLDS_THE_LOCK, tmp_path) as process:
        first_line(process)
        yield process
        process.kill()


def test_a_second_gateway_is_told_who_holds_the_directory(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """The error names the directory, the holder's pid and when it started."""
    with pytest.raises(StateDirectoryInUse) as refused:
        StateDirectoryLock.acquire(tmp_path, FakeClock(), wait_sec=0.1)
    assert refused.value.directory == tmp_path
    assert refused.value.pid == holder.pid
    assert refused.value.started_at is not None
    assert datetime.datetime.fromisoformat(refused.value.started_at) == FakeClock().now()
    for told in (str(tmp_path), str(holder.pid), refused.value.started_at):
        assert told in str(refused.value)


def test_a_dying_holder_is_waited_for(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """A start right after a SIGKILL gets the directory as soon as the dead one lets go of it."""
    killer = threading.Timer(0.3, holder.kill)
    killer.start()
    lock = StateDirectoryLock.acquire(tmp_path, FakeClock())
    killer.join()
    assert json.loads((tmp_path / FILE_NAME).read_text())['pid'] == os.getpid()
    lock.release()


def test_a_script_that_outlives_its_gateway_does_not_hold_the_lock(tmp_path: Path) -> None:
    """An exec'd child does not inherit the lock, even where it inherits all it can."""
    with holding(LEAVES_A_CHILD, tmp_path) as process:
        child_pid = int(first_line(process))
        process.kill()
        process.wait()
        os.kill(child_pid, 0)  # it lives
        StateDirectoryLock.acquire(tmp_path, FakeClock(), wait_sec=0).release()
        assert process.stdin is not None
        process.stdin.close()  # ends the child


def test_what_was_released_can_be_had(tmp_path: Path) -> None:
    """Releasing is enough, and doing it twice is harmless."""
    for _ in range(2):
        lock = StateDirectoryLock.acquire(tmp_path, FakeClock(), wait_sec=0)
        lock.release()
        lock.release()


def test_the_wait_ends(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """A holder that stays is waited for as long as was said."""
    assert holder.poll() is None
    begun = time.monotonic()
    with pytest.raises(StateDirectoryInUse):
        StateDirectoryLock.acquire(tmp_path, FakeClock(), wait_sec=0.5)
    assert 0.5 <= time.monotonic() - begun < DEADLINE_SEC


def test_a_holder_that_left_no_name_is_another_process(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """Where the holder could not write who it is, the error does not invent anything."""
    assert holder.poll() is None
    (tmp_path / FILE_NAME).write_text('')
    with pytest.raises(StateDirectoryInUse, match='another process') as refused:
        StateDirectoryLock.acquire(tmp_path, FakeClock(), wait_sec=0)
    assert refused.value.pid is None


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    """The state directory appears with its parents."""
    lock = StateDirectoryLock.acquire(tmp_path / 'a' / 'b', FakeClock())
    assert (tmp_path / 'a' / 'b' / FILE_NAME).exists()
    lock.release()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The error names the directory and the cause."""
    (tmp_path / 'file').write_text('')
    with pytest.raises(StoreUnavailable, match='file/state'):
        StateDirectoryLock.acquire(tmp_path / 'file' / 'state', FakeClock())
