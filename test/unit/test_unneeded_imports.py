# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a package that others import and that is hardly ever needed."""

from collections.abc import Iterator
import importlib
import importlib.util
import inspect
from pathlib import Path
import sys

import pytest

from gateway_node.unneeded_imports import StandIn

NAME = 'package_of_a_test'
PART = f'{NAME}.part'


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package; put a stand-in for it where imports look first."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / '__init__.py').write_text('answer = 42\n')
    (folder / 'part.py').write_text('part = 7\n')
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    sys.modules[NAME] = StandIn(spec)
    yield
    for name in (NAME, PART):
        sys.modules.pop(name, None)


def is_imported() -> bool:
    """Tell whether the package itself is there."""
    return not isinstance(sys.modules[NAME], StandIn)


def test_its_import_does_not_import_it() -> None:
    """As the code of ROS's messages imports numpy."""
    assert importlib.import_module(NAME) is sys.modules[NAME]
    assert not is_imported()


def test_it_is_imported_once_something_of_it_is_asked_for() -> None:
    """Who imported the stand-in before finds all of it too."""
    early = importlib.import_module(NAME)
    assert early.answer == 42
    assert is_imported()
    assert importlib.import_module(NAME) is not early
    assert 'answer' in vars(early)


def test_a_module_of_it_is_imported_with_it() -> None:
    """As Python does it; the stand-in has no folder to look into."""
    assert importlib.import_module(PART).part == 7
    assert is_imported()


def test_what_it_does_not_have_is_missing() -> None:
    """As if it had been imported at once."""
    assert not hasattr(importlib.import_module(NAME), 'question')
    assert is_imported()


def test_who_looks_for_the_module_of_a_line_does_not_import_it() -> None:
    """The standard library asks all modules for their file; rclpy's logger has it do so."""
    inspect.getmodule(inspect.currentframe(), '<no such file>')
    assert not is_imported()
