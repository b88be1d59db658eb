# SPDX-License-Identifier: Apache-2.0
"""What is asked for under one key is made once, whatever happens meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
import hashlib

from fakes import FakeClock, InMemoryExecutionStore
import pytest

from gateway_node.executions.errors import GatewayShuttingDown, IdempotencyKeyReused
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.once_only import Made, OnceOnly

KEY = IdempotencyKey(scope='alice', name='k', fingerprint='f')


class Maker:
    """Makes things, of which a test decides how."""

    def __init__(self) -> None:
        self.keys = InMemoryExecutionStore(FakeClock()).keys
        self.once_only = OnceOnly(self.keys, b'secret')
        self.made: list[str] = []
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.refusals: list[Exception] = []

    async def make(self, key: IdempotencyKey = KEY) -> Made[str]:
        """Ask for something."""
        return await self.once_only.make(key, self._making(key), self._find)

    def _making(self, key: IdempotencyKey) -> Callable[[], Awaitable[str]]:
        async def making() -> str:
            self.reached.set()
            await self.go_on.wait()
            if self.refusals:
                raise self.refusals.pop()
            resource_id = f'{len(self.made)}'
            self.made.append(resource_id)
            self.keys.keep(key, resource_id)
            return resource_id

        return making

    async def _find(self, resource_id: str) -> str:
        assert resource_id in self.made
        return resource_id


@pytest.fixture
async def maker() -> Maker:
    """Return one that makes things as soon as the test lets it."""
    return Maker()


async def test_twins_in_flight_wait_for_the_first(maker: Maker) -> None:
    """However many they are, one thing is made, and all are answered with it."""
    twins = [asyncio.create_task(maker.make()) for _ in range(20)]
    await maker.reached.wait()
    maker.go_on.set()
    answers = await asyncio.gather(*twins)
    assert maker.made == ['0']
    assert {answer.resource for answer in answers} == {'0'}
    assert [answer.replayed for answer in answers].count(False) == 1


async def test_where_the_first_was_refused_the_next_tries_by_itself(maker: Maker) -> None:
    """A refusal is not kept: it was of the moment."""
    maker.refusals = [GatewayShuttingDown()]
    twins = [asyncio.create_task(maker.make()) for _ in range(3)]
    await maker.reached.wait()
    maker.go_on.set()
    refused, *others = await asyncio.gather(*twins, return_exceptions=True)
    assert isinstance(refused, GatewayShuttingDown)
    assert others == [Made(resource='0'), Made(resource='0', replayed=True)]


async def test_a_request_that_is_cancelled_makes_what_it_began_and_its_twin_finds_it(
    maker: Maker,
) -> None:
    """The twin must not overtake what is on its way to the disk."""
    first = asyncio.create_task(maker.make())
    await maker.reached.wait()
    first.cancel()
    second = asyncio.create_task(maker.make())
    await asyncio.wait([first])
    maker.go_on.set()
    assert await second == Made(resource='0', replayed=True)


async def test_other_keys_and_other_scopes_wait_for_nobody(maker: Maker) -> None:
    """Only the same request is held up."""
    first = asyncio.create_task(maker.make())
    await maker.reached.wait()
    maker.reached.clear()
    others = [
        asyncio.create_task(maker.make(IdempotencyKey(scope=scope, name=name, fingerprint='f')))
        for scope, name in (('bob', 'k'), ('alice', 'other'))
    ]
    await maker.reached.wait()
    maker.go_on.set()
    await asyncio.gather(first, *others)
    assert maker.made == ['0', '1', '2']


async def test_a_key_is_of_one_request(maker: Maker) -> None:
    """With other fields it is refused, and nothing is made."""
    maker.go_on.set()
    await maker.make()
    with pytest.raises(IdempotencyKeyReused):
        await maker.make(IdempotencyKey(scope='alice', name='k', fingerprint='g'))
    assert maker.made == ['0']


def test_a_fingerprint_tells_nothing_to_who_lacks_the_secret(maker: Maker) -> None:
    """The same wish has the same one, over restarts, and on another robot another one."""
    once_only = maker.once_only
    key = once_only.key('alice', 'k', wish='{"pin":"1234"}')
    assert (key.scope, key.name) == ('alice', 'k')
    assert once_only.key('bob', 'l', wish='{"pin":"1234"}').fingerprint == key.fingerprint
    assert once_only.key('alice', 'k', wish='{"pin":"1235"}').fingerprint != key.fingerprint
    again = OnceOnly(maker.keys, b'secret').key('alice', 'k', wish='{"pin":"1234"}')
    assert again == key
    elsewhere = OnceOnly(maker.keys, b'another').key('alice', 'k', wish='{"pin":"1234"}')
    assert elsewhere.fingerprint != key.fingerprint
    assert hashlib.sha256(b'{"pin":"1234"}').hexdigest() != key.fingerprint


async def test_what_an_earlier_version_kept_is_known(maker: Maker) -> None:
    """Its fingerprints have no secret; another wish is another one all the same."""
    maker.go_on.set()
    earlier = hashlib.sha256(b'{"a":1}').hexdigest()
    await maker.make(IdempotencyKey(scope='alice', name='k', fingerprint=earlier))
    made = await maker.make(maker.once_only.key('alice', 'k', wish='{"a":1}'))
    assert made.replayed
    with pytest.raises(IdempotencyKeyReused):
        await maker.make(maker.once_only.key('alice', 'k', wish='{"a":2}'))
