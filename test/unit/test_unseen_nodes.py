# SPDX-License-Identifier: Apache-2.0
"""The hint where Fast DDS's shared memory hides nodes of other users."""

import asyncio
import os
from pathlib import Path
import pwd

import pytest
from waiting import wait_until

from gateway_node.ros.unseen_nodes import MOMENT_SEC, Queue, queues, UnseenNodes

ROOT, NODE_USER, GATEWAY_USER = 0, 2**31 - 7, 2**31 - 8
"""The other two exist on no machine."""
KILTED = f'fastdds_port{7400 + 250 * 42 + 11}'
"""Of the first participant in domain 42."""
JAZZY = KILTED.replace('dds', 'rtps')
OTHER_DOMAIN = 'fastdds_port7411'


class Ground:
    """What lies in shared memory, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.queues: list[Queue] = []
        self.looks = 0

    def unseen(
        self, user_id: int, *, rmw: str = 'rmw_fastrtps_cpp', moment_sec: float = MOMENT_SEC
    ) -> UnseenNodes:
        """Return what a gateway of this user has, for which the first moment has passed."""
        unseen = UnseenNodes(
            rmw=rmw,
            domain_id=42,
            user_id=user_id,
            monotonic=lambda: self.now,
            look=self._look,
            moment_sec=moment_sec,
        )
        self.now += MOMENT_SEC
        return unseen

    async def looked_at(self) -> None:
        """Wait until somebody has looked at what lies there now."""
        looks = self.looks
        await wait_until(lambda: self.looks > looks + 1, what='another look')

    def _look(self) -> list[Queue]:
        self.looks += 1
        return self.queues


@pytest.mark.parametrize(
    ('name', 'own', 'other', 'hidden'),
    [
        (KILTED, ROOT, NODE_USER, True),
        (KILTED, GATEWAY_USER, ROOT, True),
        (KILTED, GATEWAY_USER, NODE_USER, False),
        (KILTED, ROOT, ROOT, False),
        (JAZZY, ROOT, NODE_USER, True),
        (JAZZY, GATEWAY_USER, ROOT, True),
        (JAZZY, GATEWAY_USER, NODE_USER, True),
        (JAZZY, NODE_USER, NODE_USER, False),
        (OTHER_DOMAIN, ROOT, NODE_USER, False),
    ],
)
def test_an_empty_graph_beside_users_that_fast_dds_hides_is_warned_of(
    name: str, own: int, other: int, hidden: bool
) -> None:
    """Before Fast DDS 3 these are all others, since then root and the others."""
    ground = Ground()
    ground.queues = [Queue(KILTED, own), Queue(name, other)]
    assert bool(ground.unseen(own).warnings(alone=True)) is hidden


def test_the_warning_names_both_users_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By number: what a directory service calls them may be long in coming."""
    ground = Ground()
    monkeypatch.setattr(pwd, 'getpwuid', lambda _: pytest.fail('a directory service was asked'))
    ground.queues = [Queue(KILTED, ROOT), Queue(KILTED, NODE_USER)]
    (warning,) = ground.unseen(ROOT).warnings(alone=True)
    assert f'user {NODE_USER} has some in this domain' in warning
    assert 'from root' in warning
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4' in warning


def test_who_sees_nodes_or_uses_no_shared_memory_is_not_warned() -> None:
    """Then what lies there, as that of killed nodes, says nothing."""
    ground = Ground()
    ground.queues = [Queue(KILTED, NODE_USER), Queue(KILTED, ROOT)]
    assert ground.unseen(ROOT).warnings(alone=False) == ()
    assert ground.unseen(ROOT, rmw='rmw_zenoh_cpp').warnings(alone=True) == ()
    del ground.queues[1]
    assert ground.unseen(ROOT).warnings(alone=True) == ()


def test_a_look_is_taken_after_a_moment_and_again_after_another() -> None:
    """Discovery takes a moment, and /health may be asked for often."""
    ground = Ground()
    ground.queues = [Queue(KILTED, NODE_USER), Queue(KILTED, ROOT)]
    unseen = ground.unseen(ROOT)
    ground.now -= 1
    assert unseen.warnings(alone=True) == ()
    ground.now += 1
    assert len(unseen.warnings(alone=True)) == 1
    ground.queues.clear()
    assert len(unseen.warnings(alone=True)) == 1
    ground.now += MOMENT_SEC
    assert unseen.warnings(alone=True) == ()


async def test_what_is_hidden_is_logged_whenever_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, though nobody asks for /health; again where it comes back, or where more is hidden."""
    ground = Ground()
    ground.queues = [Queue(KILTED, ROOT)]
    unseen = ground.unseen(ROOT, moment_sec=0)
    looking = asyncio.create_task(unseen.keep_looking(lambda: True))

    for users, number in (((), 0), ((5,), 1), ((5,), 1), ((5, 6), 2), ((), 2), ((5,), 3)):
        ground.queues = [Queue(KILTED, user) for user in (ROOT, *users)]
        await ground.looked_at()
        assert len(caplog.records) == number
    looking.cancel()


def test_queues_are_told_by_their_names(tmp_path: Path) -> None:
    """Segments, locks and semaphores are none; where there is no shared memory, there is none."""
    for name in (KILTED, JAZZY, f'{KILTED}_el', f'sem.{KILTED}_mutex', 'fastdds_0123456789abcdef'):
        (tmp_path / name).touch()
    assert set(queues(tmp_path)) == {Queue(KILTED, os.getuid()), Queue(JAZZY, os.getuid())}
    assert queues(tmp_path / 'none') == ()
