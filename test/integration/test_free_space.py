# SPDX-License-Identifier: Apache-2.0
"""What is free beside the state, on a small file system."""

import os
from pathlib import Path
import threading

from fakes import FakeClock
import pytest
from small_disks import filled, mounted

from gateway_node.executions.errors import DiskSpaceLow
from gateway_node.storage import free_space
from gateway_node.storage.free_space import StateSpace


async def test_what_is_free_is_looked_at_once_a_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then too little is told with both figures, and the log has a line each time it changes."""
    caplog.set_level('INFO')
    clock = FakeClock()
    with mounted(tmp_path / 'small', 'size=1m') as disk:
        space = StateSpace(disk, 0.5, clock)
        await space.check()
        told = f'{disk} has 0.0 MiB free, less than state_min_free_mb (0.5): '
        with filled(disk):
            clock.advance(0.9)
            await space.check()
            clock.advance(0.1)
            for _ in range(3):
                with pytest.raises(DiskSpaceLow) as refusal:
                    await space.check()
                assert str(refusal.value).startswith(told)
                clock.advance(1.0)
            assert await space.shortage() == str(refusal.value)
        clock.advance(1.0)
        await space.check()
        assert await space.shortage() is None
    shortage, over = caplog.messages
    assert shortage.startswith(told)
    assert over == f'scripts can start again: {disk} has 1.0 MiB free'


async def test_without_a_bound_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 costs nothing, and refuses nothing."""
    monkeypatch.delattr(os, 'statvfs')
    await StateSpace(tmp_path, 0, FakeClock()).check()


async def test_a_disk_that_does_not_answer_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was found before counts, and a line in the log says so once."""
    monkeypatch.setattr(free_space, '_PATIENCE_SEC', 0.01)
    answered = threading.Event()

    def hang(_: Path) -> os.statvfs_result:
        answered.wait(20)
        raise OSError('gone')

    clock = FakeClock()
    monkeypatch.setattr(os, 'statvfs', hang)
    space = StateSpace(tmp_path, 1e9, clock)
    for _ in range(3):
        await space.check()
        clock.advance(1.0)
    monkeypatch.undo()
    answered.set()
    (told,) = caplog.messages
    assert told == f'what is free in {tmp_path} is not known: TimeoutError()'
