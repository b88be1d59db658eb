# SPDX-License-Identifier: Apache-2.0
"""The folder that the script API gives, in an execution and by hand."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import pytest

from gateway_node.script import artifacts


@pytest.fixture(autouse=True)
def first_call() -> Iterator[None]:
    """Let it be asked for the first time."""
    artifacts.cache_clear()
    yield
    artifacts.cache_clear()


def test_in_an_execution_it_is_the_one_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a path, to which names are added."""
    monkeypatch.setenv('GATEWAY_ARTIFACTS', '/there/artifacts')
    assert artifacts() / 'a.png' == Path('/there/artifacts/a.png')


def test_by_hand_it_is_a_new_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, on stderr: stdout may be what somebody reads as the result."""
    monkeypatch.delenv('GATEWAY_ARTIFACTS', raising=False)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    folder = artifacts()
    assert artifacts() == folder
    assert (folder.parent, [*folder.iterdir()]) == (tmp_path, [])
    said = capsys.readouterr()
    assert (said.out, said.err) == ('', f'the artifacts are in {folder}\n')
