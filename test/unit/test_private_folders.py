# SPDX-License-Identifier: Apache-2.0
"""Folders that are for the gateway's own user alone."""

import os
from pathlib import Path

import pytest

from gateway_node.storage.private import keep_private


def mode_of(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return path.lstat().st_mode & 0o7777


def test_rights_of_group_and_others_are_taken(tmp_path: Path) -> None:
    """The folder and what lies in it: the owner's rights stay as they are, the others' go."""
    state = tmp_path / 'state'
    (state / 'scripts').mkdir(parents=True)
    expected = {}
    for name, before, after in (
        ('gateway.sqlite3', 0o644, 0o600),
        ('script.sh', 0o400, 0o400),
        ('program', 0o6755, 0o700),
    ):
        (state / name).write_bytes(b'')
        (state / name).chmod(before)
        expected[state / name] = after
    (state / 'scripts').chmod(0o577)
    state.chmod(0o1777)
    expected |= {state: 0o700, state / 'scripts': 0o700}
    keep_private(state)
    assert {path: mode_of(path) for path in expected} == expected


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    """Only what lies in the folder itself is the gateway's."""
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir(mode=0o755)
    state = tmp_path / 'state'
    state.mkdir()
    (state / 'scripts').symlink_to(elsewhere)
    (state / 'dangling').symlink_to(tmp_path / 'nowhere')
    keep_private(state)
    assert mode_of(elsewhere) == 0o755


def test_a_folder_that_cannot_be_looked_into_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one of root that others may only pass through: who has to read it says why it cannot."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, 'iterdir', refuse)
    keep_private(tmp_path)
    assert f'{tmp_path} cannot be looked into: Permission denied' in caplog.text


def test_what_is_no_folder_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what is not there nor a file: a parameter may name anything."""
    file = tmp_path / 'file'
    file.touch(mode=0o644)
    keep_private(file)
    keep_private(tmp_path / 'missing')
    assert mode_of(file) == 0o644
    assert not caplog.records
