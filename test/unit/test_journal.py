# SPDX-License-Identifier: Apache-2.0
"""The journal of open executions, on a real directory."""

from collections.abc import Callable
import json
import os
from pathlib import Path

import pytest

from gateway_node.child.process_tree import Identity
from gateway_node.process.journal import Journal, JournalEntry

BOOT_ID = 'this-boot'
ENTRY = JournalEntry(execution_id='exec_1', boot_id=BOOT_ID, cgroup='/sys/fs/cgroup/gateway_node')
MARKED = JournalEntry(
    execution_id='exec_1',
    boot_id=BOOT_ID,
    supervisor=Identity(pid=4_000_000, start_ticks=10**9),
    script=Identity(pid=4_000_001, start_ticks=10**9),
)


def opened(state_dir: Path) -> Journal:
    """Return the journal of a new gateway."""
    journal = Journal(state_dir)
    journal.open()
    return journal


def test_the_last_entry_of_an_execution_counts(tmp_path: Path) -> None:
    """Whichever of two is the longer one, the later covers the earlier."""
    journal = opened(tmp_path)
    for entry in (ENTRY, MARKED, ENTRY):
        journal.write(entry)
        assert journal.read() == {'exec_1': entry}
    journal.remove('exec_1')
    assert journal.read() == {}


def test_an_entry_that_was_cut_is_of_another_boot(tmp_path: Path) -> None:
    """The execution is known to have been open, and nobody is signalled for it."""
    journal = opened(tmp_path)
    journal.write(MARKED)
    (tmp_path / 'open' / 'exec_1.json').write_bytes(
        (tmp_path / 'open' / 'exec_1.json').read_bytes()[:100]
    )
    (tmp_path / 'open' / 'exec_2.json').touch()
    assert journal.read() == {
        name: JournalEntry(execution_id=name, boot_id='') for name in ('exec_1', 'exec_2')
    }


def test_an_entry_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Cut, or longer than the others, it could not be covered by the next one."""
    long = JournalEntry(execution_id='exec_1', boot_id=BOOT_ID, cgroup='/sys' + 'x' * 4096)
    with pytest.raises(OSError, match='too long'):
        opened(tmp_path).write(long)


@pytest.mark.parametrize('make', [os.mkfifo, lambda path: path.symlink_to('victim')])
def test_what_a_script_put_in_an_entrys_place_is_not_written_to(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """A pipe would hang the gateway, a link lead elsewhere: an error says so at once."""
    opened(tmp_path)
    make(tmp_path / 'open' / 'exec_1.json')
    with pytest.raises(OSError, match=r'exec_1\.json'):
        opened(tmp_path).write(ENTRY)
    assert not (tmp_path / 'open' / 'victim').exists()


def test_what_an_earlier_gateway_had_open_is_taken_over_once(tmp_path: Path) -> None:
    """What is begun since then is not of it."""
    opened(tmp_path).write(ENTRY)
    later = opened(tmp_path)
    later.write(JournalEntry(execution_id='exec_2', boot_id=BOOT_ID))
    assert later.take_earlier() == {'exec_1': ENTRY}
    assert later.take_earlier() == {}


def test_the_spawners_of_an_earlier_gateway_are_known_until_they_have_ended(
    tmp_path: Path,
) -> None:
    """One that was forgotten, or is of another boot, is nobody's."""
    first, second = (Identity(pid=4_000_002 + n, start_ticks=10**9) for n in range(2))
    journal = opened(tmp_path)
    journal.note_spawner(first)
    journal.note_spawner(second)
    assert set(opened(tmp_path).earlier_spawners) == {first, second}
    journal.forget_spawner(first)
    assert opened(tmp_path).earlier_spawners == [second]
    journal.forget_spawner(second)
    assert opened(tmp_path).earlier_spawners == ()


def test_a_spawner_that_version_0_1_0_noted_is_known(tmp_path: Path) -> None:
    """There was one at a time, and the file was its own; one of another boot is nobody's."""
    file = tmp_path / 'spawner.json'
    boot_id = opened(tmp_path).boot_id
    file.write_text(json.dumps({'boot_id': boot_id, 'pid': 1, 'start_ticks': 2}))
    assert opened(tmp_path).earlier_spawners == [Identity(pid=1, start_ticks=2)]
    file.write_text('{"boot_id": "x", "pid": 1, "start_ticks": 2}')
    assert opened(tmp_path).earlier_spawners == ()
