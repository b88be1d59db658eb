"""The hint where Fast DDS's shared memory hides nodes of other users."""

import os
from pathlib import Path
import pwd

import pytest

from gateway_node.ros.unseen_nodes import MOMENT_SEC, UnseenNodes

OWNER = os.getuid()
"""Owns what the tests write."""
OTHER = 65534 if OWNER == 0 else 0
"""Another user, so that one of the two is root."""
ORDINARY = 65533
QUEUE = f'fastdds_port{7400 + 250 * 42 + 11}'
"""Of the first participant in domain 42."""


class Ground:
    """A folder in place of /dev/shm, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0

    def unseen(self, *, user_id: int, rmw: str = 'rmw_fastrtps_cpp') -> UnseenNodes:
        """Return what a gateway of this user has, for which the first moment has passed."""
        unseen = UnseenNodes(
            rmw=rmw,
            domain_id=42,
            user_id=user_id,
            monotonic=lambda: self.now,
            folder=self.folder,
        )
        self.now += MOMENT_SEC
        return unseen


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a place to look at."""
    return Ground(tmp_path)


@pytest.mark.parametrize('name', [QUEUE, QUEUE.replace('dds', 'rtps')])
def test_an_empty_graph_beside_participants_of_another_user_is_warned_of(
    ground: Ground, name: str
) -> None:
    """Where one of the two is root; the sentence names both and says what to do."""
    (ground.folder / name).touch()
    (warning,) = ground.unseen(user_id=OTHER).warnings(alone=True)
    owner, other = (pwd.getpwuid(user_id).pw_name for user_id in (OWNER, OTHER))
    assert f'used by {owner} in this domain' in warning
    assert f'not {other} and {owner}' in warning
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4' in warning


@pytest.mark.parametrize('name', ['fastdds_port7411', 'fastdds_0123456789abcdef', f'sem.{QUEUE}'])
def test_what_is_no_queue_of_the_domain_means_nothing(ground: Ground, name: str) -> None:
    """Participants of other domains are not to be seen anyway."""
    (ground.folder / name).touch()
    assert ground.unseen(user_id=OTHER).warnings(alone=True) == ()


def test_users_that_are_both_not_root_see_each_other(ground: Ground) -> None:
    """So do those of one user: an empty graph has another reason."""
    (ground.folder / QUEUE).touch()
    if OWNER == 0:
        os.chown(ground.folder / QUEUE, ORDINARY, -1)
    assert ground.unseen(user_id=ORDINARY + 1).warnings(alone=True) == ()
    assert ground.unseen(user_id=OWNER or ORDINARY).warnings(alone=True) == ()


def test_who_sees_nodes_or_uses_no_fast_dds_is_not_warned(ground: Ground) -> None:
    """Other middleware has its own ways, and a folder that is not there shows nothing."""
    (ground.folder / QUEUE).touch()
    assert ground.unseen(user_id=OTHER).warnings(alone=False) == ()
    assert ground.unseen(user_id=OTHER, rmw='rmw_zenoh_cpp').warnings(alone=True) == ()
    (ground.folder / QUEUE).unlink()
    ground.folder.rmdir()
    assert ground.unseen(user_id=OTHER).warnings(alone=True) == ()


def test_a_look_is_taken_after_a_moment_and_again_after_another(ground: Ground) -> None:
    """Discovery takes a moment, and /health may be asked for often."""
    (ground.folder / QUEUE).touch()
    unseen = ground.unseen(user_id=OTHER)
    ground.now -= 1
    assert unseen.warnings(alone=True) == ()
    ground.now += 1
    assert len(unseen.warnings(alone=True)) == 1
    (ground.folder / QUEUE).unlink()
    assert len(unseen.warnings(alone=True)) == 1
    ground.now += MOMENT_SEC
    assert unseen.warnings(alone=True) == ()
