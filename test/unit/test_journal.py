# SPDX-License-Identifier: Apache-2.0
"""The journal of open executions, on a real directory."""

from collections.abc import Callable
from dataclasses import replace
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


def left(state_dir: Path) -> dict[str, JournalEntry]:
    """Return what a gateway that is killed now leaves to the next one."""
    return dict(opened(state_dir).take_earlier())


def test_the_last_entry_of_an_execution_counts(tmp_path: Path) -> None:
    """Whichever of two is the longer one, the later covers the earlier."""
    journal = opened(tmp_path)
    for entry in (ENTRY, MARKED, ENTRY):
        journal.write(entry)
        assert left(tmp_path) == {'exec_1': entry}
    journal.remove('exec_1')
    assert left(tmp_path) == {}


def test_the_entry_of_a_supervisors_next_execution_covers_that_of_the_last(tmp_path: Path) -> None:
    """The end of the last one is on record: the file does not grow, and says nothing of it."""
    journal = opened(tmp_path)
    journal.write(MARKED)
    for number in range(2, 100):
        entry = replace(ENTRY, execution_id=f'exec_{number}')
        journal.write(entry, instead_of=f'exec_{number - 1}')
        assert left(tmp_path) == {entry.execution_id: entry}
    (file,) = (tmp_path / 'open').iterdir()
    assert file.stat().st_size < 4096


def test_a_slot_is_used_again_once_its_execution_is_forgotten(tmp_path: Path) -> None:
    """The file has as many as executions were open at once."""
    journal = opened(tmp_path)
    entries = [replace(ENTRY, execution_id=f'exec_{number}') for number in range(3)]
    for entry in entries:
        journal.write(entry)
    (file,) = (tmp_path / 'open').iterdir()
    size = file.stat().st_size
    for entry in entries:
        journal.remove(entry.execution_id)
    for entry in reversed(entries):
        journal.write(entry)
    assert file.stat().st_size == size
    assert left(tmp_path) == {entry.execution_id: entry for entry in entries}


def test_a_gateway_that_has_nothing_open_leaves_no_journal(tmp_path: Path) -> None:
    """At its end; one with an open execution leaves it."""
    journal = opened(tmp_path)
    journal.write(ENTRY)
    journal.close()
    assert left(tmp_path) == {'exec_1': ENTRY}
    later = opened(tmp_path)
    later.write(MARKED)
    later.remove('exec_1')
    later.close()
    assert list((tmp_path / 'open').iterdir()) == []


def test_what_an_earlier_gateway_left_stays_until_all_of_it_is_recorded(tmp_path: Path) -> None:
    """Should this one be killed before that, the next one is told again."""
    first = opened(tmp_path)
    other = replace(ENTRY, execution_id='exec_2')
    for entry in (ENTRY, other):
        first.write(entry)
    second = opened(tmp_path)
    second.remove('exec_1')
    assert left(tmp_path) == {'exec_1': ENTRY, 'exec_2': other}
    second.remove('exec_2')
    assert left(tmp_path) == {}


@pytest.mark.parametrize('removed', ['the file', 'the folder'])
def test_a_journal_that_a_script_removes_is_written_anew(tmp_path: Path, removed: str) -> None:
    """With all that it held, by the next entry: that script harms no later execution."""
    journal = opened(tmp_path)
    other = replace(ENTRY, execution_id='exec_2')
    for entry in (ENTRY, replace(ENTRY, execution_id='exec_3')):
        journal.write(entry)
    (file,) = (tmp_path / 'open').iterdir()
    file.unlink()
    if removed == 'the folder':
        (tmp_path / 'open').rmdir()
    journal.write(other, instead_of='exec_3')
    assert left(tmp_path) == {'exec_1': ENTRY, 'exec_2': other}


def test_a_damaged_entry_does_no_harm_to_the_others(tmp_path: Path) -> None:
    """A script is of the same user, and could write there."""
    journal = opened(tmp_path)
    entries = [replace(ENTRY, execution_id=f'exec_{number}') for number in range(4)]
    for entry in entries:
        journal.write(entry)
    (file,) = (tmp_path / 'open').iterdir()
    content = bytearray(file.read_bytes())
    for slot, damage in enumerate((b'{"execution_id": 1', b'\0' * 99, b'[]\n')):
        content[slot * 4096 : slot * 4096 + len(damage)] = damage
    file.write_bytes(content)
    assert left(tmp_path) == {'exec_3': entries[3]}


@pytest.mark.parametrize(
    'content',
    [
        b'[' * 4000,
        json.dumps({**vars(ENTRY), 'supervisor_folder': 7}).encode(),
        json.dumps({**vars(MARKED), 'script': {'pid': '1', 'start_ticks': 1}}).encode(),
    ],
)
def test_no_entry_keeps_the_next_gateway_from_starting(tmp_path: Path, content: bytes) -> None:
    """Whatever a script wrote there, be it nested deeper than Python recurses."""
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open' / 'a.slots').write_bytes(content)
    assert left(tmp_path) == {}


def test_a_folder_in_the_place_of_a_journal_is_removed(tmp_path: Path) -> None:
    """A gateway that starts finds whatever a script made there."""
    folder = tmp_path / 'open' / 'a.slots'
    folder.mkdir(parents=True)
    (folder / 'file').touch()
    assert left(tmp_path) == {}
    assert not folder.exists()


def test_an_entry_that_version_0_1_0_wrote_is_known(tmp_path: Path) -> None:
    """Each had a file; one that was cut is of another boot, so that nobody is signalled for it."""
    opened(tmp_path)
    fields = {'execution_id': 'exec_1', 'boot_id': BOOT_ID, 'script': None, 'cgroup': None}
    document = {**fields, 'supervisor': {'pid': 4_000_000, 'start_ticks': 10**9}}
    content = json.dumps(document).ljust(4096)
    (tmp_path / 'open' / 'exec_1.json').write_text(content)
    (tmp_path / 'open' / 'exec_2.json').write_text(content[:100])
    (tmp_path / 'open' / 'exec_3.json').touch()
    later = opened(tmp_path)
    assert later.take_earlier() == {
        'exec_1': replace(MARKED, script=None),
        'exec_2': JournalEntry(execution_id='exec_2', boot_id=''),
        'exec_3': JournalEntry(execution_id='exec_3', boot_id=''),
    }
    for number in range(1, 4):
        later.remove(f'exec_{number}')
    assert list((tmp_path / 'open').iterdir()) == []


def test_an_entry_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """It would reach into the next one."""
    long = JournalEntry(execution_id='exec_1', boot_id=BOOT_ID, cgroup='/sys' + 'x' * 4096)
    with pytest.raises(OSError, match='too long'):
        opened(tmp_path).write(long)


@pytest.mark.parametrize('make', [os.mkfifo, lambda path: path.symlink_to('victim')])
def test_what_a_script_put_in_the_journals_place_is_not_written_to(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """A pipe would hang the gateway, a link lead elsewhere: it is replaced, and read by nobody."""
    journal = opened(tmp_path)
    make(tmp_path / 'open' / journal.file_name)
    journal.write(ENTRY)
    assert not (tmp_path / 'open' / 'victim').exists()
    make(tmp_path / 'open' / 'another.slots')
    assert left(tmp_path) == {'exec_1': ENTRY}


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
