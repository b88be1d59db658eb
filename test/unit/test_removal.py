# SPDX-License-Identifier: Apache-2.0
"""Removing trees tells what could not be removed; how deep they may be is tested with scripts."""

from pathlib import Path

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
