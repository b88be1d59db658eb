# SPDX-License-Identifier: Apache-2.0
"""What is read at the start, on a mount that does not answer."""

import asyncio
from collections.abc import Iterator
import os
from pathlib import Path
import threading

import pytest

from gateway_node import start_files
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.managed import hash_file
from gateway_node.start_files import FileSilent, ManifestReader


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let what waits for an answer go at the end; a start has little patience."""
    monkeypatch.setattr(start_files, '_PATIENCE_SEC', 0.2)
    event = threading.Event()
    yield event
    event.set()


def reader(*, entities: Path | None = None, scripts: Path | None = None) -> ManifestReader:
    """Return what reads these manifests."""
    return ManifestReader(entities=entities, scripts=scripts, max_rate_hz=20.0)


@pytest.mark.parametrize('manifest', ['entities', 'scripts'])
@pytest.mark.parametrize(
    ('content', 'part'),
    [
        (None, 'No such file'),
        ('scripts: [', 'manifest.yaml'),
        ('- a list\n', 'a mapping'),
        ('scrips: []\n', "'scrips'"),
        ('a: !!python/object/apply:os.system ["touch pwned"]\n', 'manifest.yaml'),
    ],
)
def test_a_bad_manifest_is_named_with_what_is_wrong(
    tmp_path: Path, manifest: str, content: str | None, part: str
) -> None:
    """Missing, no YAML, or of another form; nothing in it is executed."""
    file = tmp_path / 'manifest.yaml'
    if content is not None:
        file.write_text(content)
    with pytest.raises(ManifestInvalid) as caught:
        asyncio.run(reader(**{manifest: file}).read())
    assert str(file) in str(caught.value)
    assert part in str(caught.value)
    assert not Path('pwned').exists()


@pytest.mark.parametrize('manifest', ['entities', 'scripts'])
def test_a_manifest_that_does_not_answer_is_named(
    tmp_path: Path, answers: threading.Event, manifest: str
) -> None:
    """One line, and the event loop ends though the thread hangs."""
    file = tmp_path / 'manifest.yaml'
    os.mkfifo(file)
    try:
        named = f'{manifest}.manifest: {file} does not answer, for longer'
        with pytest.raises(FileSilent, match=named):
            asyncio.run(reader(**{manifest: file}).read())
    finally:
        # Who waits for a writer is let go.
        os.close(os.open(file, os.O_RDWR | os.O_NONBLOCK))


def test_the_managed_script_that_does_not_answer_is_named(
    tmp_path: Path, answers: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the manifest, whose file is read, nor the scripts before it."""
    rows = []
    for name in 'abc':
        (tmp_path / f'{name}.sh').write_text('true\n')
        rows.append(f'  - {{id: {name}, path: {name}.sh, entities: apps/*}}\n')
    file = tmp_path / 'manifest.yaml'
    file.write_text(f'scripts:\n{"".join(rows)}')

    def hash_slowly(path: Path) -> tuple[str, int]:
        if path.name == 'b.sh':
            answers.wait(60)
        return hash_file(path)

    monkeypatch.setattr('gateway_node.scripts.scripts_manifest.hash_file', hash_slowly)
    with pytest.raises(FileSilent, match=f'scripts.manifest: {tmp_path}/b.sh does not answer'):
        asyncio.run(reader(scripts=file).read())


def test_a_scripts_directory_that_does_not_answer_is_named(
    tmp_path: Path, answers: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look at it says so; nothing waits for the thread."""
    monkeypatch.setattr(start_files, 'keep_private', lambda _folder: answers.wait(60))
    with pytest.raises(FileSilent, match=f'scripts.scripts_dir: {tmp_path} does not answer'):
        asyncio.run(start_files.private_scripts(tmp_path))
