# SPDX-License-Identifier: Apache-2.0
"""Who may look into a process, and where nobody could see it any more."""

from collections.abc import Iterator
import contextlib
import ctypes
from pathlib import Path

import pytest

from gateway_node import inspection

PR_GET_DUMPABLE = 3
PROC = '22 27 0:21 / /proc {options} shared:5 - proc proc {of_mount}\n'


def is_dumpable() -> bool:
    """Tell whether processes of the same user may look into this one."""
    return bool(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Begin and end as a process is born; the kernel takes it from one that changed its user."""
    inspection.allow()
    yield
    inspection.allow()


def test_what_is_forbidden_is_allowed_for_a_moment_alone() -> None:
    """Afterwards it is as it was, whatever happens meanwhile."""
    inspection.forbid()
    assert not is_dumpable()
    with contextlib.suppress(OSError), inspection.allowed():
        assert is_dumpable()
        raise OSError
    assert not is_dumpable()
    inspection.allow()
    with inspection.allowed():
        pass
    assert is_dumpable()


@pytest.mark.parametrize(
    ('mounts', 'forbidden'),
    [
        (PROC.format(options='rw', of_mount='rw'), True),
        (PROC.format(options='rw', of_mount='rw,hidepid=0'), True),
        (PROC.format(options='rw', of_mount='rw,hidepid=off'), True),
        (PROC.format(options='rw', of_mount='rw,hidepid=2'), False),
        (PROC.format(options='rw', of_mount='rw,gid=4,hidepid=invisible'), False),
        (PROC.format(options='rw', of_mount='rw,hidepid=ptraceable'), False),
        ('30 27 0:22 / /mnt/proc rw - proc proc rw,hidepid=2\n', True),
        (
            PROC.format(options='rw', of_mount='rw')
            + PROC.format(options='rw', of_mount='rw,hidepid=2'),
            False,
        ),
        ('', True),
    ],
)
def test_a_helper_that_would_vanish_lets_its_user_look(
    tmp_path: Path, mounts: str, forbidden: bool
) -> None:
    """With hidepid a user sees what it may look into, and nothing else: the gateway has to see its
    helpers. The last mount counts."""
    (tmp_path / 'mountinfo').write_text(mounts)
    inspection.forbid_unless_hidden(str(tmp_path / 'mountinfo'))
    assert is_dumpable() != forbidden


def test_without_a_list_of_mounts_nobody_may_look(tmp_path: Path) -> None:
    """There is nothing to be hidden then."""
    inspection.forbid_unless_hidden(str(tmp_path / 'none'))
    assert not is_dumpable()
