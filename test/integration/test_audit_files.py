# SPDX-License-Identifier: Apache-2.0
"""The audit on a real disk."""

import datetime
import itertools
import json
import os
from pathlib import Path
import stat
from typing import Any

from fakes import FakeClock
from open_descriptors import count_descriptors
import pytest

from gateway_node.access.audit import Asked, AuditNote, NoteKind, NotesPage, NotesWanted
from gateway_node.storage.audit_files import AuditFiles

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
MIB = 1024 * 1024


def files_in(
    folder: Path, *, max_file_bytes: int = MIB, max_files: int = 10, synced: bool = False
) -> AuditFiles:
    """Return what a gateway that starts now would write with."""
    return AuditFiles(
        folder,
        FakeClock(),
        max_file_bytes=max_file_bytes,
        max_files=max_files,
        synced=synced,
    )


def notes(*statuses: int, **asked: Any) -> list[AuditNote]:
    """Return a note for each."""
    asked = {'method': 'POST', 'origin': '192.0.2.7', **asked}
    request = Asked(**asked)
    return [
        AuditNote(kind=NoteKind.REQUEST, time=NOON, asked=request, status=status)
        for status in statuses
    ]


def sequences(page: NotesPage) -> list[int]:
    """Return those of a page."""
    return [document['sequence'] for document in page.documents]


def walked(files: AuditFiles, limit: int) -> list[int]:
    """Return the sequences of all pages, one after the other."""
    found: list[int] = []
    before = None
    while True:
        page = files.page(NotesWanted(limit=limit, before=before))
        found += sequences(page)
        before = page.next_before
        if before is None:
            return found


def lines(path: Path) -> list[dict[str, Any]]:
    """Return what a file has."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_note_is_a_line_of_json(tmp_path: Path) -> None:
    """With its place: a sequence, the boot, and how long that had lasted; for its owner alone."""
    folder = tmp_path / 'audit'
    files = files_in(folder)
    assert files.append([]) == 1
    assert files.append(notes(202, 409, name='anna', entity='apps/arm')) == 1
    assert files.append(notes(404)) == 3
    (file,) = folder.iterdir()
    first, second, third = lines(file)
    assert first == {
        'sequence': 1,
        'boot': 'first_boot',
        'up_sec': 1000.0,
        'time': '2026-03-01T12:00:00.000Z',
        'kind': 'request',
        'name': 'anna',
        'origin': '192.0.2.7',
        'method': 'POST',
        'entity': 'apps/arm',
        'status': 202,
    }
    assert (second['sequence'], third['sequence']) == (2, 3)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)]
    assert modes == [0o700, 0o600]


def test_the_sequence_grows_over_restarts_and_files(tmp_path: Path) -> None:
    """The oldest file goes where there are more than may be."""
    for number in range(40):
        files = files_in(tmp_path, max_file_bytes=1000, max_files=4)
        assert files.append(notes(200)) == number + 1
    assert len(list(tmp_path.iterdir())) == 4
    found = walked(files, 3)
    assert found == list(range(40, 40 - len(found), -1))
    assert 15 <= len(found) <= 25


def test_it_goes_on_behind_what_was_rotated_that_very_moment(tmp_path: Path) -> None:
    """A crash came before the new file had a note."""
    files_in(tmp_path).append(notes(200, 200))
    (tmp_path / 'audit.jsonl').rename(tmp_path / 'audit-0000000000000001.jsonl')
    assert files_in(tmp_path).append(notes(200)) == 3


@pytest.mark.parametrize(
    'left', ['{"sequence":3,"ti', '\0\0\0\0', 'no JSON}\n{', '{"sequence":3}x']
)
def test_what_a_crash_left_of_a_line_is_passed_over_and_told(tmp_path: Path, left: str) -> None:
    """It stays as it is, and the next note has a line of its own."""
    files_in(tmp_path).append(notes(200, 200))
    file = tmp_path / 'audit.jsonl'
    before = file.read_text() + left
    file.write_text(before)
    files = files_in(tmp_path)
    sequence = files.append(notes(201))
    assert sequence > 3
    page = files.page(NotesWanted(limit=10))
    assert sequences(page) == [sequence, 2, 1]
    assert page.unreadable == left.count('\n') + 1
    assert file.read_text().startswith(before)


def test_a_line_that_is_being_written_is_none_yet(tmp_path: Path) -> None:
    """Who reads meanwhile neither sees nor counts it."""
    files = files_in(tmp_path)
    files.append(notes(200))
    with (tmp_path / 'audit.jsonl').open('a') as file:
        file.write('{"sequence":2,')
    page = files.page(NotesWanted(limit=10))
    assert (sequences(page), page.unreadable) == ([1], 0)


@pytest.mark.parametrize('limit', [1, 7, 1000])
def test_pages_are_walked_over_all_files(tmp_path: Path, limit: int) -> None:
    """Each note once, the newest first, whatever the size of blocks and lines."""
    files = files_in(tmp_path, max_file_bytes=200_000)
    for size in itertools.islice(itertools.cycle((0, 10, 300, 70_000)), 60):
        files.append(notes(200, route='x' * size))
    assert len(list(tmp_path.iterdir())) > 3
    assert walked(files, limit) == list(range(60, 0, -1))


def test_a_page_has_one_file_open_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a thousand of them, which is all that a process may open."""
    files = files_in(tmp_path, max_file_bytes=200, max_files=50)
    for _ in range(30):
        files.append(notes(202))
    assert len(list(tmp_path.iterdir())) == 30
    before = count_descriptors(os.getpid())
    most = 0
    pread = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        nonlocal most
        most = max(most, count_descriptors(os.getpid()))
        return pread(fd, length, offset)

    monkeypatch.setattr(os, 'pread', counted)
    assert sequences(files.page(NotesWanted(limit=30))) == list(range(30, 0, -1))
    assert most <= before + 2


def test_a_file_whose_first_line_a_crash_cut_off_is_named_by_the_next(tmp_path: Path) -> None:
    """However often it was taken up since: else a page would take it for newer than it is."""
    (tmp_path / 'audit.jsonl').write_text('{"sequence":1,"boot":"fi')
    for _ in range(2):
        files = files_in(tmp_path, max_file_bytes=400, max_files=50)
        for _ in range(2):
            files.append(notes(202))
    (rotated,) = tmp_path.glob('audit-*')
    assert rotated.name == 'audit-0000000000000001.jsonl'
    assert sequences(files.page(NotesWanted(limit=9, before=3))) == [2, 1]


def test_a_page_is_what_is_between_two_sequences(tmp_path: Path) -> None:
    """Neither of which is in it; the newest notes where there are more than wanted."""
    files = files_in(tmp_path, max_file_bytes=2000)
    for _ in range(30):
        files.append(notes(200))

    def found(**wanted: Any) -> list[int]:
        return sequences(files.page(NotesWanted(**wanted)))

    assert found(limit=100, after=27) == [30, 29, 28]
    assert found(limit=100, after=10, before=13) == [12, 11]
    assert found(limit=2, after=10) == [30, 29]
    assert found(limit=100, after=30) == []
    assert found(limit=100, before=1) == []
    assert found(limit=2, before=100) == [30, 29]


def test_notes_are_found_by_who_and_where_and_when(tmp_path: Path) -> None:
    """All of which has to hold."""
    files = files_in(tmp_path)
    files.append(notes(200, name='anna', entity='apps/arm_1'))
    files.append(notes(200, name='bert', entity='apps/arm_1'))
    files.append(notes(200, name='anna', entity='apps/base'))
    files.append(notes(200))

    def found(**wanted: Any) -> list[int]:
        return sequences(files.page(NotesWanted(limit=10, **wanted)))

    assert found(names=frozenset({'anna'})) == [3, 1]
    assert found(entities=frozenset({'apps/arm_*'})) == [2, 1]
    assert found(names=frozenset({'anna'}), entities=frozenset({'apps/base', 'apps/x'})) == [3]
    second = datetime.timedelta(seconds=1)
    assert found(since=NOON) == [4, 3, 2, 1]
    assert found(since=NOON + second) == found(until=NOON) == []
    assert found(since=NOON - second, until=NOON + second, names=frozenset({'bert'})) == [2]


def test_a_page_looks_at_no_more_than_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is then empty, and says where to go on."""
    monkeypatch.setattr('gateway_node.storage.audit_files._MAX_LOOKS', 4)
    files = files_in(tmp_path)
    files.append([*notes(200, name='anna'), *notes(*[200] * 9)])
    page = files.page(NotesWanted(limit=10, names=frozenset({'anna'})))
    assert (page.documents, page.next_before) == ([], 7)
    page = files.page(NotesWanted(limit=10, names=frozenset({'anna'}), before=7))
    assert (page.documents, page.next_before) == ([], 3)
    page = files.page(NotesWanted(limit=10, names=frozenset({'anna'}), before=3))
    assert (sequences(page), page.next_before) == ([1], None)


def test_a_file_that_somebody_took_away_is_made_anew(tmp_path: Path) -> None:
    """Within a second; the sequence goes on."""
    clock = FakeClock()
    files = AuditFiles(tmp_path, clock, max_file_bytes=MIB, max_files=10)
    files.append(notes(200, 200))
    (tmp_path / 'audit.jsonl').rename(tmp_path / 'taken')
    clock.advance(1)
    assert files.append(notes(200)) == 3
    assert sequences(files.page(NotesWanted(limit=10))) == [3]


def test_of_notes_that_cannot_be_kept_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a part of them was written when the disk was full."""
    files = files_in(tmp_path)
    files.append(notes(200))
    kept = (tmp_path / 'audit.jsonl').read_bytes()
    write, calls = os.write, list[int]()

    def writes_a_part(fd: int, content: bytes) -> int:
        calls.append(fd)
        if len(calls) == 1:
            return write(fd, bytes(content)[:10])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.write', writes_a_part)
    with pytest.raises(OSError, match='No space left'):
        files.append(notes(201, 202))
    assert (tmp_path / 'audit.jsonl').read_bytes() == kept
    monkeypatch.setattr('os.write', write)
    assert files.append(notes(203)) == 2


def test_where_nothing_was_written_there_are_no_notes(tmp_path: Path) -> None:
    """And where no folder can be, that is told."""
    assert files_in(tmp_path / 'audit').page(NotesWanted(limit=1)) == NotesPage(documents=[])
    (tmp_path / 'file').touch()
    files = files_in(tmp_path / 'file')
    with pytest.raises(NotADirectoryError):
        files.page(NotesWanted(limit=1))
    with pytest.raises(FileExistsError):
        files.append(notes(200))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whoever put it there wants something else overwritten."""
    target = tmp_path / 'target'
    target.touch()
    (tmp_path / 'audit.jsonl').symlink_to(target)
    with pytest.raises(OSError, match='symbolic links'):
        files_in(tmp_path).append(notes(200))


def test_what_has_to_be_on_the_disk_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it counts as kept."""
    synced: list[int] = []
    monkeypatch.setattr('os.fdatasync', synced.append)
    files_in(tmp_path).append(notes(200))
    assert synced == []
    files_in(tmp_path, synced=True).append(notes(200))
    assert len(synced) == 1
