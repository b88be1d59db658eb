# SPDX-License-Identifier: Apache-2.0
"""How often the ids of entities are written."""

from fakes import FakeClock, InMemoryIdentityStore
import pytest

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.host import HOST_HOLDER
from gateway_node.entities.identity_keeper import AGE_TOLERANCE_SEC, IdentityKeeper
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.errors import StoreUnavailable

OWN = NodeName(namespace='/', name='gateway_node')
CAMERA = NodeName(namespace='/', name='camera')
LIDAR = NodeName(namespace='/', name='lidar')


class Robot:
    """A directory, its clock, and a store that counts."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = InMemoryIdentityStore()
        self.directory = EntityDirectory(
            host_name='robot', own_node=OWN, clock=self.clock, is_held=lambda ref: False
        )
        self.keeper = IdentityKeeper(store=self.store, directory=self.directory, kept=())

    async def see(self, *nodes: NodeName, after_sec: float = 1.0) -> None:
        """Take a graph, as the gateway does with each."""
        self.clock.advance(after_sec)
        self.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
        await self.look()

    async def look(self, *, after_sec: float = 0.0) -> None:
        """Look after the entities, as the gateway does now and then."""
        self.clock.advance(after_sec)
        self.directory.forget_stale()
        await self.keeper.keep()

    async def ages(self) -> dict[str, float]:
        """Return what is kept of how long holders are away, the host aside, which never is."""
        ages = {each.holder: each.unseen_sec for each in await self.store.load_identities()}
        assert ages.pop(HOST_HOLDER) == 0
        return ages


async def test_a_pair_that_comes_or_goes_is_written_at_once() -> None:
    """An id that a client may have seen is never given to another node."""
    robot = Robot()
    await robot.see(CAMERA)
    assert robot.store.saves == 1
    await robot.see(CAMERA, LIDAR)
    assert robot.store.saves == 2
    assert (await robot.ages()).keys() >= {'/camera', '/lidar'}
    await robot.see(CAMERA)
    saves = robot.store.saves
    await robot.look(after_sec=25 * 3600)
    assert robot.store.saves == saves + 1
    assert '/lidar' not in await robot.ages()


async def test_changes_of_the_graph_write_nothing_while_the_pairs_are_the_same() -> None:
    """A node that comes and goes beside one that is away: ages change each time, pairs do not."""
    robot = Robot()
    await robot.see(CAMERA, LIDAR)
    for _ in range(250):
        await robot.see(CAMERA)
        await robot.see()
    assert robot.store.saves == 1


async def test_ages_are_written_when_they_are_off_by_ten_minutes() -> None:
    """A gateway that dies forgets no more than that of how long a holder is away."""
    robot = Robot()
    await robot.see(CAMERA, LIDAR)
    await robot.see(CAMERA)
    for look in range(1, 7):
        await robot.look(after_sec=AGE_TOLERANCE_SEC)
        assert robot.store.saves == 1 + look
        assert (await robot.ages())['/lidar'] == look * AGE_TOLERANCE_SEC


async def test_a_holder_that_is_back_after_long_is_written_as_seen() -> None:
    """A gateway that dies then would else count its absence from the wrong moment."""
    robot = Robot()
    await robot.see(CAMERA)
    await robot.see()
    await robot.look(after_sec=AGE_TOLERANCE_SEC)
    assert (await robot.ages())['/camera'] == AGE_TOLERANCE_SEC
    await robot.see(CAMERA)
    assert (await robot.ages())['/camera'] == 0


async def test_the_end_writes_what_differs_at_all_and_only_that() -> None:
    """A restart costs no age a second."""
    robot = Robot()
    await robot.see(CAMERA)
    await robot.keeper.keep_exactly()
    assert robot.store.saves == 1
    await robot.see()
    await robot.see(after_sec=7)
    await robot.keeper.keep_exactly()
    assert (robot.store.saves, await robot.ages()) == (2, {'/camera': 7})


async def test_what_could_not_be_written_is_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that was full for a moment costs no id."""
    robot = Robot()

    async def refuse(identities: object) -> None:
        raise StoreUnavailable('full')

    with monkeypatch.context() as patch:
        patch.setattr(robot.store, 'save_identities', refuse)
        with pytest.raises(StoreUnavailable):
            await robot.see(CAMERA)
    await robot.keeper.keep()
    assert await robot.ages() == {'/camera': 0}
