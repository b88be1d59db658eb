# SPDX-License-Identifier: Apache-2.0
"""What the gateway says of processes that came to it from a lost spawner and cannot be ended."""

from collections.abc import Iterator
import contextlib
import subprocess

from orphan_support import orphans_without_spawner
import pytest

from gateway_node.child import killing
from gateway_node.child.process_tree import ProcessEntry, Sent
from gateway_node.process import orphans as orphans_module
from gateway_node.process.orphans import Orphans
from gateway_node.process.own_processes import OwnProcesses


@pytest.fixture(autouse=True)
def unkillable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no signal of the gateway's reach anybody."""

    def reach_nobody(entries: list[ProcessEntry], number: int) -> Sent:
        return Sent(reached=[], refused=[])

    monkeypatch.setattr(killing, 'signal_all', reach_nobody)
    monkeypatch.setattr(orphans_module, 'KILL_PATIENCE_SEC', 0.05)


@contextlib.contextmanager
def orphan() -> Iterator[int]:
    """Give the pid of a child that is nobody's; at the end it is gone."""
    with subprocess.Popen(['sleep', '600']) as process:
        try:
            yield process.pid
        finally:
            process.kill()


async def given_up(orphans: Orphans) -> set[int]:
    """Have orphans ended; return what could not be."""
    return {note['pid'] for note in (await orphans.end_all()).unkillable}


async def test_what_could_not_be_ended_is_named_for_all_who_lost_that_spawner() -> None:
    """Nobody knows whose of them it is; what has died since is not named any more."""
    orphans = orphans_without_spawner(OwnProcesses())
    orphans.note_spawner_lost(['supervisor_1', 'supervisor_2'])
    with orphan() as second:
        with orphan() as first:
            assert await given_up(orphans) == {first, second}
            assert await given_up(orphans) == {first, second}
        assert await given_up(orphans) == {second}
        orphans.close()


async def test_what_an_earlier_spawner_left_is_not_named_for_those_of_a_later_one() -> None:
    """It lives on, and has nothing to do with the executions that lose their spawner now."""
    orphans = orphans_without_spawner(OwnProcesses())
    with orphan() as yesterdays, orphan():
        assert yesterdays in await given_up(orphans)
        orphans.note_spawner_lost(['supervisor_2'])
        with orphan() as todays:
            assert await given_up(orphans) == {todays}
        orphans.close()
