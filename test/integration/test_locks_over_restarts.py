# SPDX-License-Identifier: Apache-2.0
"""Locks over restarts of the gateway, in a real database."""

from pathlib import Path

from assembled_gateway import bound_gateway, OWN_NODE
from lives import APP, Life, Robot
import pytest

from gateway_node.access.lock_book import LockBook
from gateway_node.access.locks import LockRequest, Locks, LockSettings
from gateway_node.clock import SystemClock
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.entity_lock import LockScope
from gateway_node.executions.errors import EntityLocked

ANNA = Actor(name='anna', role=Role.OPERATOR, origin='192.0.2.7', client_id='tablet')
BERT = Actor(name='bert', role=Role.OPERATOR, origin='192.0.2.8')
FOR_A_MINUTE = LockRequest(expiration_sec=60, scopes=(LockScope.DATA, LockScope.SCRIPTS))


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot on which nothing happened yet."""
    return Robot(tmp_path)


async def locks_of(robot: Robot, life: Life) -> tuple[Locks, LockBook]:
    """Open the locks of one life of the gateway."""
    book = LockBook(robot.clock, life.store.up_sec)
    locks = Locks(
        book=book,
        ledger=life.ledger,
        store=life.store,
        clock=robot.clock,
        settings=LockSettings(max_expiration_sec=3600, breakable=True),
    )
    await locks.open(life.directory)
    return locks, book


async def test_a_lock_that_was_answered_holds_after_a_crash(robot: Robot) -> None:
    """As it was taken: for its holder, on its scopes, for the rest of its time."""
    async with robot.gateway() as life:
        locks, _ = await locks_of(robot, life)
        lock = await locks.acquire(APP, FOR_A_MINUTE, actor=ANNA)
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        locks, book = await locks_of(robot, life)
        assert locks.of(APP) == lock
        with pytest.raises(EntityLocked):
            book.check(APP, BERT)
        book.check(APP, ANNA)
        robot.clock.advance(60)
        assert locks.of(APP) is None


async def test_what_was_given_back_or_extended_is_so_after_a_crash(robot: Robot) -> None:
    """The last that was answered counts."""
    async with robot.gateway() as life:
        locks, _ = await locks_of(robot, life)
        lock = await locks.acquire(APP, FOR_A_MINUTE, actor=ANNA)
        await locks.extend(APP, lock.id, 600, actor=ANNA)
    async with robot.gateway() as life:
        locks, _ = await locks_of(robot, life)
        robot.clock.advance(599)
        assert locks.get(APP, lock.id).holder == lock.holder
        await locks.release(APP, lock.id, actor=ANNA)
    async with robot.gateway() as life:
        locks, _ = await locks_of(robot, life)
        assert locks.of(APP) is None


async def test_a_machine_that_boots_anew_has_no_locks(robot: Robot) -> None:
    """The log of that start tells which ended so."""
    async with robot.gateway() as life:
        locks, _ = await locks_of(robot, life)
        lock = await locks.acquire(APP, FOR_A_MINUTE, actor=ANNA)
    robot.clock.boot_id = 'second_boot'
    async with robot.gateway() as life:
        locks, book = await locks_of(robot, life)
        book.check(APP, BERT)
        (event,) = life.listener.events
        assert (event.subject_id, event.cause) == (lock.id, 'boot')
        assert await life.store.locks() == ()


class SkippingClock(SystemClock):
    """The machine's clocks, some time later."""

    def __init__(self) -> None:
        self.skipped_sec = 0.0

    def monotonic(self) -> float:
        """Return the time, and what was skipped."""
        return super().monotonic() + self.skipped_sec


async def test_the_id_of_a_locked_entity_stays_although_its_node_is_gone(tmp_path: Path) -> None:
    """As long as it is locked: a lock never comes to be on another node."""
    clock = SkippingClock()
    nodes = {NodeName(namespace='/', name=name) for name in ('held', 'free')}
    day = {'lock_expiration': 86400}
    async with bound_gateway(
        tmp_path, parameters={'locks.max_expiration_sec': 86400}, clock=clock
    ) as (gateway, client):
        await gateway.open()
        gateway.on_graph(GraphSnapshot(nodes=frozenset({OWN_NODE, *nodes})))
        client.headers['X-Client-Id'] = 'tablet'
        answer = await client.post('/api/v1/apps/held/locks', json=day)
        assert answer.status == 201
        gateway.on_graph(GraphSnapshot(nodes=frozenset({OWN_NODE})))
        for _ in range(2):
            clock.skipped_sec += 20 * 3600
            assert (await client.put(answer.headers['Location'], json=day)).status == 204
            gateway.directory.forget_stale()
        assert (await client.get('/api/v1/apps/free')).status == 404
        assert (await client.get('/api/v1/apps/held')).status == 200
