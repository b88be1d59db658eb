# SPDX-License-Identifier: Apache-2.0
"""The file that tells later gateways what executions left."""

import os
from pathlib import Path

from gateway_node.child.process_tree import read_entry
from gateway_node.executions.values import UnkillableProcess
from gateway_node.process.unkillable_notes import UnkillableNotes


def this_process() -> UnkillableProcess:
    """Return this process, as one that could not be ended."""
    entry = read_entry(os.getpid())
    assert entry is not None
    return UnkillableProcess(
        pid=entry.pid, start_ticks=entry.start_ticks, user='', command='é', permitted=True
    )


def test_what_still_lives_is_told_to_a_later_gateway(tmp_path: Path) -> None:
    """Several executions are noted one after the other; what is gone is left out."""
    file = tmp_path / 'unkillable.json'
    left = this_process()
    UnkillableNotes(file).remember('exec_1', [left])
    UnkillableNotes(file).remember(
        'exec_2', [UnkillableProcess(**{**vars(left), 'start_ticks': 1})]
    )
    UnkillableNotes(file).remember('exec_3', [left])
    assert UnkillableNotes(file).living() == {'exec_1': (left,), 'exec_3': (left,)}
    assert os.listdir(tmp_path) == [file.name]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nothing fails without it, and no half of it stays."""
    file = tmp_path / 'unkillable.json'
    file.mkdir()
    UnkillableNotes(file).remember('exec_1', [this_process()])
    assert os.listdir(tmp_path) == [file.name]
