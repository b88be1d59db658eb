# SPDX-License-Identifier: Apache-2.0
"""Archives of evidence on a real disk, whatever a script puts in their place."""

import os
from pathlib import Path
import zipfile

import pytest
from small_disks import mounted

from gateway_node.evidence.errors import NotKept
from gateway_node.evidence.evidence_parts import Part, SUMMARY
from gateway_node.process.evidence_files import EvidenceFiles

PARTS = (Part(name=SUMMARY, content=b'{}'), Part(name='script/a b.sh', content=b'true\n' * 1000))


@pytest.fixture
def files(tmp_path: Path) -> EvidenceFiles:
    """Keep archives below a folder."""
    (tmp_path / 'executions').mkdir()
    return EvidenceFiles(tmp_path / 'executions')


async def whole(files: EvidenceFiles, execution_id: str) -> bytes:
    """Return all bytes of an archive."""
    kept = await files.find(execution_id)
    assert kept is not None
    pieces = files.content(execution_id, kept, 0, kept.size)
    return b''.join([piece async for piece in pieces])


async def test_what_is_kept_is_found_read_and_answered(
    files: EvidenceFiles, tmp_path: Path
) -> None:
    """As a zip archive that any program opens, in the execution's own directory."""
    await files.keep('exec_1', PARTS)
    place = tmp_path / 'executions' / 'exec_1'
    assert os.listdir(place) == ['evidence.zip']
    assert await whole(files, 'exec_1') == (place / 'evidence.zip').read_bytes()
    with zipfile.ZipFile(place / 'evidence.zip') as archive:
        assert archive.testzip() is None
        assert archive.read('script/a b.sh') == PARTS[1].content
    assert (place / 'evidence.zip').stat().st_size < len(PARTS[1].content)
    assert await files.read('exec_1', {SUMMARY, 'nothing'}) == {SUMMARY: b'{}'}
    kept = await files.find('exec_1')
    assert kept is not None
    assert kept.summary == b'{}'


async def test_a_later_archive_takes_the_place_of_the_first(files: EvidenceFiles) -> None:
    """And has another validator; the same content has the same one."""
    await files.keep('exec_1', PARTS)
    first = await files.find('exec_1')
    await files.keep('exec_2', PARTS)
    second = await files.find('exec_2')
    await files.keep('exec_1', PARTS[:1])
    later = await files.find('exec_1')
    assert first is not None
    assert second is not None
    assert later is not None
    assert first.digest == second.digest != later.digest


async def test_a_full_disk_leaves_what_was_kept_before(tmp_path: Path) -> None:
    """Whole, and nothing of what did not fit."""
    with mounted(tmp_path / 'disk', 'size=256k') as disk:
        (disk / 'executions').mkdir()
        files = EvidenceFiles(disk / 'executions')
        await files.keep('exec_1', PARTS)
        before = await whole(files, 'exec_1')
        with pytest.raises(NotKept, match='No space left'):
            await files.keep('exec_1', [Part(name='a', content=os.urandom(2**20))])
        assert await whole(files, 'exec_1') == before
        assert os.listdir(disk / 'executions' / 'exec_1') == ['evidence.zip']


@pytest.mark.parametrize('what', ['pipe', 'link', 'folder', 'text', 'no summary', 'nothing'])
async def test_what_is_no_archive_of_ours_is_none(
    files: EvidenceFiles, tmp_path: Path, what: str
) -> None:
    """A script of the same user may have put anything there; nothing waits for it."""
    place = tmp_path / 'executions' / 'exec_1' / 'evidence.zip'
    place.parent.mkdir()
    if what == 'pipe':
        os.mkfifo(place)
    elif what == 'link':
        place.symlink_to('/etc/passwd')
    elif what == 'folder':
        place.mkdir()
    elif what == 'text':
        place.write_bytes(b'PK\x03\x04 nothing')
    elif what == 'no summary':
        with zipfile.ZipFile(place, 'w') as archive:
            archive.writestr('other', b'')
    assert await files.find('exec_1') is None
    assert await files.read('exec_1', {SUMMARY}) == {}


async def test_what_is_removed_leaves_no_folder_but_what_else_is_there(
    files: EvidenceFiles, tmp_path: Path
) -> None:
    """The output of the execution may be beside it."""
    await files.keep('exec_1', PARTS)
    await files.keep('exec_2', PARTS)
    (tmp_path / 'executions' / 'exec_2' / 'output').write_bytes(b'said')
    await files.remove('exec_1')
    await files.remove('exec_2')
    assert os.listdir(tmp_path / 'executions') == ['exec_2']
    assert os.listdir(tmp_path / 'executions' / 'exec_2') == ['output']


async def test_an_archive_that_became_another_one_is_not_answered_as_the_first(
    files: EvidenceFiles,
) -> None:
    """Who was told its size must not take what came for all of it."""
    await files.keep('exec_1', PARTS)
    kept = await files.find('exec_1')
    assert kept is not None
    await files.keep('exec_1', PARTS[:1])
    with pytest.raises(ConnectionAbortedError):
        async for _ in files.content('exec_1', kept, 0, kept.size):
            pass


async def test_what_a_killed_gateway_was_writing_is_no_evidence(
    files: EvidenceFiles, tmp_path: Path
) -> None:
    """It lies under another name until it is whole; the next archive takes its place."""
    await files.keep('exec_1', PARTS)
    place = tmp_path / 'executions' / 'exec_1'
    (place / 'evidence.zip').rename(place / 'evidence.zip.new')
    assert await files.find('exec_1') is None
    await files.keep('exec_1', PARTS)
    assert os.listdir(place) == ['evidence.zip']


async def test_a_damaged_or_an_encrypted_archive_is_none(
    files: EvidenceFiles, tmp_path: Path
) -> None:
    """What cannot be read is told as what is not there, whichever way it cannot."""
    await files.keep('exec_1', PARTS)
    place = tmp_path / 'executions' / 'exec_1' / 'evidence.zip'
    content = place.read_bytes()
    begin = content.index(SUMMARY.encode()) + len(SUMMARY)
    place.write_bytes(content[:begin] + b'\xff\xff' + content[begin + 2 :])
    assert await files.find('exec_1') is None
    assert await files.read('exec_1', {SUMMARY}) == {}
    # The lowest bit of the flags, of the file's own header and of the directory's (APPNOTE 4.4.4).
    encrypted = bytearray(content)
    for signature, flags in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        encrypted[content.index(signature) + flags] |= 1
    place.write_bytes(encrypted)
    assert await files.find('exec_1') is None
