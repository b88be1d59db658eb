# SPDX-License-Identifier: Apache-2.0
"""Removing trees tells what could not be removed; how deep they may be is tested with scripts."""

from pathlib import Path
import subprocess

import pytest

from gateway_node.removal import remove_tree


def test_a_removed_tree_leaves_no_reason(tmp_path: Path) -> None:
    """Nor does one that was not there."""
    tree = tmp_path / 'tree'
    (tree / 'folder').mkdir(parents=True)
    (tree / 'folder' / 'file').write_text('')
    (tree / 'folder').chmod(0o500)
    assert remove_tree(tree) is None
    assert list(tmp_path.iterdir()) == []
    assert remove_tree(tree) is None


def test_what_cannot_be_removed_is_told() -> None:
    """The caller decides what that means."""
    reason = remove_tree('/proc/self/cmdline')
    assert isinstance(reason, PermissionError)


@pytest.mark.parametrize('at', ['tree', 'tree/folder', 'tree/folder/deeper'])
def test_nothing_of_what_is_mounted_is_removed(tmp_path: Path, at: str) -> None:
    """A script of root can have mounted there what is not the gateway's."""
    place, kept = tmp_path / at, tmp_path / 'kept' / 'file'
    place.mkdir(parents=True)
    kept.parent.mkdir()
    kept.touch()
    try:
        subprocess.run(['mount', '--bind', kept.parent, place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('only root may mount')
    try:
        assert isinstance(remove_tree(tmp_path / 'tree'), OSError)
        assert kept.exists()
    finally:
        subprocess.run(['umount', place], check=True)
