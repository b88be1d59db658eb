# SPDX-License-Identifier: Apache-2.0
"""The key of a state directory."""

from pathlib import Path
import stat

import pytest

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.storage.state_key import FILE_NAME, StateKey


def test_a_state_directory_keeps_its_key(tmp_path: Path) -> None:
    """Over restarts of the gateway, for its user alone; another directory has another one."""
    first = StateKey.open(tmp_path).derived_key(b'a')
    assert StateKey.open(tmp_path).derived_key(b'a') == first
    file = tmp_path / FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    assert StateKey.open(elsewhere).derived_key(b'a') != first


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    """And none is what stands in the file."""
    key = StateKey.open(tmp_path)
    derived = {key.derived_key(b'a'), key.derived_key(b'b'), (tmp_path / FILE_NAME).read_bytes()}
    assert len(derived) == 3
    assert {len(each) for each in derived} == {32}


@pytest.mark.parametrize('content', [b'', b'half a key'])
def test_what_is_no_key_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """Also where an earlier attempt left its file."""
    (tmp_path / FILE_NAME).write_bytes(content)
    (tmp_path / 'state.new').write_bytes(b'left')
    made = StateKey.open(tmp_path).derived_key(b'a')
    assert StateKey.open(tmp_path).derived_key(b'a') == made
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_where_no_key_can_be_kept_there_is_none(tmp_path: Path) -> None:
    """It says which file it is about."""
    with pytest.raises(StoreUnavailable, match=FILE_NAME):
        StateKey.open(tmp_path / 'nowhere')
