# SPDX-License-Identifier: Apache-2.0
"""Archives of what executions left, made from any place on, and what a file is by its name."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import datetime
import hashlib
import io
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.executions.artifact import Artifact
from gateway_node.http_server.artifacts import media_type_of
from gateway_node.http_server.stored_zip import StoredZip

NAMES = st.text(st.characters(exclude_categories=('C', 'Z'), exclude_characters='/\\'), min_size=1)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map('/'.join), st.binary(max_size=50), max_size=5
)
MOMENTS = st.datetimes(timezones=st.just(datetime.UTC))


def artifact(path: str, content: bytes, moment: datetime.datetime) -> Artifact:
    return Artifact(
        path=path,
        size=len(content),
        modified_at=moment,
        crc32=zlib.crc32(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def archive_of(tree: Mapping[str, bytes], moment: datetime.datetime) -> StoredZip:
    return StoredZip([artifact(path, tree[path], moment) for path in sorted(tree)])


def part(archive: StoredZip, tree: Mapping[str, bytes], begin: int, end: int) -> bytes:
    """Return some bytes of an archive."""

    async def read(told: Artifact, first: int, last: int) -> AsyncIterator[bytes]:
        for at in range(first, last, 7):
            yield tree[told.path][at : min(at + 7, last)]

    async def pieces() -> bytes:
        return b''.join([piece async for piece in archive.pieces(read, begin, end)])

    return asyncio.run(pieces())


@given(TREES, MOMENTS)
def test_an_archive_holds_all_files_whole(
    tree: dict[str, bytes], moment: datetime.datetime
) -> None:
    """As another program reads it, names in any script included; its length is what was said."""
    archive = archive_of(tree, moment)
    content = part(archive, tree, 0, archive.size)
    assert len(content) == archive.size
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        assert read.testzip() is None
        assert {each.filename: read.read(each) for each in read.infolist()} == tree


@given(TREES, st.data())
def test_each_part_of_an_archive_is_the_same_as_in_the_whole(
    tree: dict[str, bytes], data: st.DataObject
) -> None:
    """Wherever it begins and ends: in a head, in a file, in the directory at the end."""
    archive = archive_of(tree, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    whole = part(archive, tree, 0, archive.size)
    begin = data.draw(st.integers(0, archive.size))
    end = data.draw(st.integers(begin, archive.size))
    assert part(archive, tree, begin, end) == whole[begin:end]


def test_another_archive_has_another_tag() -> None:
    """By content, name and time; the same one has the same, whoever makes it."""
    moment = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    trees = [{'a': b'1'}, {'b': b'1'}, {'a': b'2'}, {'a': b'1', 'b': b''}, {}]
    archives = [archive_of(tree, moment) for tree in trees]
    archives.append(archive_of({'a': b'1'}, moment + datetime.timedelta(days=1)))
    assert len({each.tag for each in archives}) == len(archives)
    assert archive_of({'a': b'1'}, moment).tag == archives[0].tag


@pytest.mark.parametrize(
    ('name', 'media_type'),
    [
        ('a.csv', 'text/csv'),
        ('plots/a.PNG', 'image/png'),
        ('run.log', 'text/plain'),
        ('map.yaml', 'application/yaml'),
        ('logs.tar.gz', 'application/gzip'),
        ('logs.tar.xz', 'application/x-xz'),
        ('bag/metadata.yaml', 'application/yaml'),
        ('bag/scan_0.db3', 'application/vnd.sqlite3'),
        ('core', 'application/octet-stream'),
        ('a.b.unheard-of', 'application/octet-stream'),
        ('.csv', 'application/octet-stream'),
    ],
)
def test_a_file_is_what_its_name_says(name: str, media_type: str) -> None:
    """Of a file that is compressed, what it is compressed by: that is what it begins with."""
    assert media_type_of(name) == media_type
