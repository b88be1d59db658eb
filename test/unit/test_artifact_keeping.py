# SPDX-License-Identifier: Apache-2.0
"""What is taken of folders of any content, by whoever is at it, and however often."""

import hashlib
import json
import os
from pathlib import Path
import subprocess
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from gateway_node.child.artifact_index import read_index
from gateway_node.child.artifact_keeping import (
    finish_keeping,
    keep_artifacts,
    KeptArtifacts,
)
from gateway_node.child.exposed_files import open_below
from gateway_node.child.messages import ArtifactBounds
from gateway_node.process.limits import artifact_bounds
from gateway_node.removal import remove_tree

BOUNDS = artifact_bounds()
NAMES = st.sampled_from(['a', 'b', 'c', 'd\n', 'e e', 'ü', '\udcff'])
TREES = st.recursive(
    st.binary(max_size=6) | st.sampled_from(['link', 'pipe', 'twice']),
    lambda below: st.dictionaries(NAMES, below, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))
Tree = dict[str, object]


def plant(folder: Path, tree: Tree, others: Path | None = None) -> None:
    """Make a folder with what a tree says; other names of its files are in a folder beside it."""
    folder.mkdir()
    others = others or folder.with_name('others')
    for name, what in tree.items():
        path = folder / name
        match what:
            case bytes():
                path.write_bytes(what)
            case 'link':
                path.symlink_to('/')
            case 'pipe':
                os.mkfifo(path)
            case 'twice':
                path.write_bytes(b'twice')
                others.mkdir(exist_ok=True)
                os.link(path, others / os.urandom(8).hex())
            case dict():
                plant(path, what, others)


def files_in(tree: Tree, above: str = '') -> dict[str, bytes]:
    """Return what of a tree may be kept, in order."""
    found: dict[str, bytes] = {}
    for name, what in tree.items():
        if not name.isprintable():
            continue
        if isinstance(what, dict):
            found |= files_in(what, f'{above}{name}/')
        elif isinstance(what, bytes):
            found[above + name] = what
        elif what == 'twice':
            found[above + name] = b'twice'
    return dict(sorted(found.items()))


def kept_in(directory: Path) -> dict[str, bytes]:
    """Return what is kept, each as it is listed."""
    note = read_index(directory)
    if note is None:
        return {}
    found = {}
    for each in note['files']:
        with open(open_below(directory / 'artifacts', each['path']), 'rb') as file:
            found[each['path']] = file.read()
        assert each['size'] == len(found[each['path']])
        assert each['sha256'] == hashlib.sha256(found[each['path']]).hexdigest()
    return found


@settings(max_examples=40)
@given(TREES)
def test_of_any_tree_its_plain_files_are_kept(
    tmp_path_factory: pytest.TempPathFactory, tree: Tree
) -> None:
    """And nothing else is there; of everything else something is told."""
    folder = tmp_path_factory.mktemp('tree')
    plant(folder / 'left', tree)
    kept = keep_artifacts(str(folder / 'left'), str(folder / 'kept'), BOUNDS)
    files = files_in(tree)
    assert kept_in(folder / 'kept') == files
    assert kept.files == len(files)
    there = [path for path in (folder / 'kept' / 'artifacts').rglob('*') if not path.is_dir()]
    assert len(there) == len(files)
    assert all(path.stat().st_nlink == 1 and not path.is_symlink() for path in there)
    assert (folder / 'kept').exists() is bool(files)
    remove_tree(folder)


@settings(max_examples=40)
@given(TREES, st.integers(0, 5), st.integers(0, 8), st.integers(0, 14))
def test_no_bound_is_exceeded(
    tmp_path_factory: pytest.TempPathFactory,
    tree: Tree,
    max_files: int,
    max_file_bytes: int,
    max_total_bytes: int,
) -> None:
    """What is kept is what fits, in the order of the paths; what is not is told."""
    bounds = ArtifactBounds(
        max_files=max_files, max_file_bytes=max_file_bytes, max_total_bytes=max_total_bytes
    )
    folder = tmp_path_factory.mktemp('tree')
    plant(folder / 'left', tree)
    kept = keep_artifacts(str(folder / 'left'), str(folder / 'kept'), bounds)
    found = kept_in(folder / 'kept')
    assert found.items() <= files_in(tree).items()
    assert kept.files == len(found) <= max_files
    assert all(len(content) <= max_file_bytes for content in found.values())
    assert sum(map(len, found.values())) <= max_total_bytes
    if found != files_in(tree):
        assert kept.complaints
    remove_tree(folder)


@pytest.mark.parametrize('moved', [0, 1, 2])
def test_what_was_interrupted_is_gone_on_with(tmp_path: Path, moved: int) -> None:
    """Whoever was killed had moved some files, and listed none."""
    plant(tmp_path / 'left', {'a': b'1', 'd': {'b': b'2'}})
    (tmp_path / 'kept' / 'artifacts').mkdir(parents=True)
    for name in ('a', 'd')[:moved]:
        (tmp_path / 'left' / name).rename(tmp_path / 'kept' / 'artifacts' / name)
    kept = finish_keeping(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS)
    assert kept == KeptArtifacts(2, ())
    assert kept_in(tmp_path / 'kept') == {'a': b'1', 'd/b': b'2'}


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    """What was not kept the first time is still there, and is told in the same words."""
    plant(tmp_path / 'left', {'a': b'1', 'b': 'link'})
    places = str(tmp_path / 'left'), str(tmp_path / 'kept')
    first = keep_artifacts(*places, BOUNDS)
    assert first == (1, ("the artifact 'b' is not kept: it is a link",))
    (tmp_path / 'left' / 'later').touch()
    assert finish_keeping(*places, BOUNDS) == first


def test_bounds_hold_for_what_was_interrupted(tmp_path: Path) -> None:
    """Together they are no more than otherwise, and no others stay on the disk."""
    plant(tmp_path / 'left', {'b': b'2', 'c': b'3'})
    (tmp_path / 'kept').mkdir()
    plant(tmp_path / 'kept' / 'artifacts', {'a': b'1'})
    bounds = artifact_bounds(max_files=2)
    finish_keeping(str(tmp_path / 'left'), str(tmp_path / 'kept'), bounds)
    assert kept_in(tmp_path / 'kept') == {'a': b'1', 'b': b'2'}
    assert {path.name for path in (tmp_path / 'kept' / 'artifacts').iterdir()} == {'a', 'b'}


def test_nothing_is_found_where_nothing_is_left(tmp_path: Path) -> None:
    """Neither without a folder nor with an empty one, and nothing is made."""
    (tmp_path / 'empty').mkdir()
    for name in ('empty', 'none'):
        found = finish_keeping(str(tmp_path / name), str(tmp_path / 'kept'), BOUNDS)
        assert found == KeptArtifacts()
    assert not (tmp_path / 'kept').exists()


def test_more_than_is_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million pipes hold nobody up."""
    monkeypatch.setattr('gateway_node.child.artifact_keeping._MAX_ENTRIES', 5)
    plant(tmp_path / 'left', {'a': {'b': {}}, 'c': 'pipe', 'd': 'pipe', 'e': {'f': b''}, 'g': b''})
    kept = keep_artifacts(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS)
    assert kept.complaints[-1] == (
        'not all artifacts are kept: more than 5 files and folders were left'
    )
    assert kept.files == 0


ENTRY = {'path': 'a', 'size': 1, 'modified': 2, 'crc32': 3, 'sha256': '00' * 32}


@pytest.mark.parametrize(
    'change',
    [{'path': 'a\nb'}, {'path': '\ud800'}, {'size': -1}, {'size': 2**32}, {'size': 1e999},
     {'size': 'x'}, {'crc32': -1}, {'sha256': '00'}, {'sha256': 'x' * 64}, {'modified': None}],
)  # fmt: skip
def test_a_list_that_no_gateway_wrote_lists_nothing(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """A script can have written there what could not be served."""
    for entry, listed in ((ENTRY, True), (ENTRY | change, False)):
        content = json.dumps({'files': [entry], 'complaints': []})
        (tmp_path / 'artifacts.json').write_text(content)
        assert (read_index(tmp_path) is not None) is listed


@pytest.mark.parametrize(
    ('most', 'more'),
    [
        ([ENTRY] * 10_000, [ENTRY] * 10_001),
        ([ENTRY | {'size': 2000 * 2**20}] * 2, [ENTRY | {'size': 2000 * 2**20 + 1}] * 2),
        ([ENTRY | {'path': 'a' * 2048}], [ENTRY | {'path': 'a' * 2049}]),
    ],
)
def test_a_list_of_more_than_is_kept_lists_nothing(
    tmp_path: Path, most: list[object], more: list[object]
) -> None:
    """A script can have written there what no archive has room for."""
    for files, listed in ((most, True), (more, False)):
        content = json.dumps({'files': files, 'complaints': []})
        (tmp_path / 'artifacts.json').write_text(content)
        assert (read_index(tmp_path) is not None) is listed


def test_a_list_with_endless_complaints_lists_nothing(tmp_path: Path) -> None:
    """They would come to be warnings of the execution."""
    content = json.dumps({'files': [ENTRY], 'complaints': ['x' * 65537]})
    (tmp_path / 'artifacts.json').write_text(content)
    assert read_index(tmp_path) is None


@pytest.mark.parametrize(
    'content', [b'', b'{', b'[]', b'{}', b'{"files": [{}], "complaints": []}', b'[' * 100_000]
)
def test_a_list_that_is_none_lists_nothing(tmp_path: Path, content: bytes) -> None:
    """Nothing fails for that."""
    (tmp_path / 'artifacts.json').write_bytes(content)
    assert read_index(tmp_path) is None


@pytest.mark.parametrize(
    'path', ['', '.', '..', '../secret', '/etc/passwd', 'd/../../secret', 'd/', 'l/secret', 'd']
)
def test_no_path_leads_out_of_a_folder(tmp_path: Path, path: str) -> None:
    """Whatever a list says that a script wrote."""
    (tmp_path / 'secret').touch()
    (tmp_path / 'top' / 'd').mkdir(parents=True)
    (tmp_path / 'top' / 'l').symlink_to(tmp_path)
    with pytest.raises(OSError, match=r'no |link|directory'):
        open_below(tmp_path / 'top', path)


def test_who_swaps_files_meanwhile_has_nothing_followed(tmp_path: Path) -> None:
    """At each moment another thing is there under the same names; no secret is ever kept."""
    secret = tmp_path / 'secret'
    secret.mkdir()
    (secret / 'file').write_text('secret')
    left, stop = tmp_path / 'left', threading.Event()

    def swap() -> None:
        other = tmp_path / 'other'
        while not stop.is_set():
            for make in (
                lambda: other.symlink_to(secret),
                lambda: other.symlink_to(secret / 'file'),
                lambda: plant(other, {'file': b'mine'}),
                lambda: other.write_text('mine'),
            ):
                remove_tree(left / 'x')
                try:
                    make()
                    other.rename(left / 'x')
                except OSError:
                    remove_tree(other)

    left.mkdir()
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(100):
            kept = tmp_path / f'kept_{number}'
            keep_artifacts(str(left), str(kept), BOUNDS)
            assert set(kept_in(kept).values()) <= {b'mine', b''}
            assert not any(path.is_symlink() for path in kept.rglob('*'))
    finally:
        stop.set()
        swapper.join()
    assert (secret / 'file').read_text() == 'secret'


def test_what_the_disk_does_not_take_is_not_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its list a file is nobody's."""
    plant(tmp_path / 'left', {'a': b'1'})
    monkeypatch.setattr('gateway_node.child.artifact_keeping.write_index', lambda *_: False)
    kept = keep_artifacts(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS)
    assert kept == (0, ('the artifacts are not kept: the disk does not take them',))
    assert not (tmp_path / 'kept' / 'artifacts').exists()


def test_what_is_put_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    """A script can lay hands on its execution's directory while it runs."""
    plant(tmp_path / 'elsewhere', {'a': b'mine', 'b': b'mine'})
    plant(tmp_path / 'left', {'a': b'1'})
    (tmp_path / 'kept').mkdir()
    (tmp_path / 'kept' / 'artifacts').symlink_to(tmp_path / 'elsewhere')
    assert keep_artifacts(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS) == (1, ())
    assert kept_in(tmp_path / 'kept') == {'a': b'1'}
    assert (tmp_path / 'elsewhere' / 'a').read_bytes() == b'mine'


def test_what_a_script_put_among_what_is_kept_does_no_harm(tmp_path: Path) -> None:
    """Neither folders in which Python would recurse too deep, nor names that cannot be told."""
    plant(tmp_path / 'left', {'a': b'1'})
    deep = tmp_path / 'kept' / 'artifacts' / '/'.join(['d'] * 1500)
    subprocess.run(['mkdir', '-p', deep], check=True)
    (tmp_path / 'kept' / 'artifacts' / 'e\nf').touch()
    (tmp_path / 'kept' / 'artifacts' / 'd' / 'b').write_bytes(b'2')
    kept = finish_keeping(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS)
    found = kept_in(tmp_path / 'kept')
    remove_tree(tmp_path / 'kept')  # pytest recurses, too
    assert kept == KeptArtifacts(2, ())
    assert found == {'a': b'1', 'd/b': b'2'}


def test_of_each_kind_of_complaint_it_is_told_how_many_more_there_are(tmp_path: Path) -> None:
    """Five are named, whichever they are."""
    tree: Tree = {f'a{number}': b'1' for number in range(4)}
    plant(tmp_path / 'left', tree | {f'b{number}': 'pipe' for number in range(4)})
    writers = [os.open(tmp_path / 'left' / name, os.O_WRONLY) for name in tree]
    kept = keep_artifacts(str(tmp_path / 'left'), str(tmp_path / 'kept'), BOUNDS)
    for writer in writers:
        os.close(writer)
    assert (kept.files, len(kept.complaints)) == (4, 6)
    assert kept.complaints[-2:] == (
        "the artifact 'b0' is not kept: it is a pipe",
        '3 more artifacts are not kept',
    )
