# SPDX-License-Identifier: Apache-2.0
"""Whoever is wrong too often about being beside the robot is not listened to for a while."""

import asyncio
from collections.abc import Awaitable, Callable
import datetime
import logging
from pathlib import Path
import re
from typing import Any

from fakes import FakeClock
import pytest
from shown_codes import RecordingDisplay

from gateway_node.access import verified_proximity
from gateway_node.access.proximity_verifier import Challenge, Presence
from gateway_node.access.verified_proximity import (
    FORGOTTEN_SEC,
    MAX_CLIENTS,
    VerifiedProximity,
)
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.proximity import (
    Proof,
    ProximityClosed,
    ProximityNeeded,
    ProximityRefused,
    ProximityUnavailable,
)
from gateway_node.scripts.values import Script, ScriptKind

ARM = EntityRef(entity_type=EntityType.APP, entity_id='arm')
SCRIPT = Script(
    id='check', name='Check', kind=ScriptKind.SH, path=Path('/check.sh'), version='0', size=1
)


def actor(
    name: str | None = 'anna', origin: str = '192.0.2.7', client_id: str | None = None
) -> Actor:
    return Actor(name=name, role=Role.OPERATOR, origin=origin, client_id=client_id)


ANNA = actor()


class Door:
    """A check by codes, and the clock by which it goes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.display = RecordingDisplay()
        self.check = self.display.proximity(self.clock)

    async def say(self, response: str | None, by: Actor = ANNA) -> None:
        """Give a proof."""
        await self.check.check(ARM, SCRIPT, Proof(by=by, response=response))

    async def ask(self, by: Actor = ANNA) -> str:
        """Have a code shown; return it."""
        with pytest.raises(ProximityNeeded):
            await self.say(None, by)
        return self.display.code

    async def fail(self, times: int, by: Actor = ANNA) -> list[int]:
        """Be wrong so many times; return how many tries were left after each."""
        left = []
        for _ in range(times):
            with pytest.raises(ProximityRefused) as refused:
                await self.say(self.display.wrong, by)
            left.append(refused.value.tries_left)
        return left

    async def closed_sec(self, by: Actor = ANNA) -> int:
        """Return for how long the door is closed."""
        with pytest.raises(ProximityClosed) as closed:
            await self.say('000000', by)
        return int(closed.value.headers['Retry-After'])


@pytest.fixture
def door() -> Door:
    """Return a door that closes after five failures."""
    return Door()


async def test_who_gives_no_proof_is_told_the_challenge(door: Door) -> None:
    """The same as the detail of the script shows, with the wall time up to which it is valid."""
    shown = await door.check.challenge(ARM, SCRIPT, ANNA)
    assert shown is not None
    with pytest.raises(ProximityNeeded) as needed:
        await door.say(None)
    assert needed.value.told == {'proximity_challenge': shown.document()}
    valid = datetime.timedelta(seconds=120)
    assert shown.valid_until == door.clock.now() + valid
    assert shown.challenge == door.display.shown[0]['challenge']


async def test_the_right_code_passes_once(door: Door) -> None:
    """Replayed it is refused, and so it is for another client."""
    code = await door.ask()
    await door.say(code)
    with pytest.raises(ProximityRefused):
        await door.say(code)
    code = await door.ask()
    with pytest.raises(ProximityRefused):
        await door.say(code, actor('bert'))


async def test_five_failures_close_the_door(door: Door) -> None:
    """For a minute, to the right code too; no code is shown meanwhile."""
    code = await door.ask()
    assert await door.fail(5) == [4, 3, 2, 1, 0]
    assert await door.closed_sec() == 60
    with pytest.raises(ProximityClosed):
        await door.say(code)
    with pytest.raises(ProximityClosed):
        await door.say(None)
    assert await door.check.challenge(ARM, SCRIPT, ANNA) is None
    assert len(door.display.shown) == 1
    door.clock.advance(60)
    await door.say(code)


async def test_the_door_stays_closed_for_twice_as_long_each_time(door: Door) -> None:
    """Up to an hour: a code of six digits is found by chance in some hundred years."""
    closed = []
    for _ in range(8):
        await door.fail(5)
        closed.append(await door.closed_sec())
        door.clock.advance(closed[-1])
    assert closed == [60, 120, 240, 480, 960, 1920, 3600, 3600]


async def test_a_proof_that_holds_gives_all_tries_back(door: Door) -> None:
    """Who was there was not guessing."""
    code = await door.ask()
    await door.fail(4)
    await door.say(code)
    assert await door.fail(5) == [4, 3, 2, 1, 0]
    assert await door.closed_sec() == 60


async def test_failures_are_forgotten_after_an_hour(door: Door) -> None:
    """Of who has not failed since."""
    await door.fail(4)
    door.clock.advance(3601)
    assert await door.fail(1) == [4]


@pytest.mark.parametrize(
    ('first', 'second', 'same'),
    [
        (actor(), actor(origin='192.0.2.8', client_id='x'), True),
        (actor(), actor('bert'), False),
        (actor(None), actor(None, client_id='x'), True),
        (actor(None), actor(None, '192.0.2.8'), False),
        (actor(None, '2001:db8::1'), actor(None, '2001:db8::2'), True),
        (actor(None, '2001:db8::1'), actor(None, '2001:db8:0:1::1'), False),
        (actor('192.0.2.7'), actor(None), False),
    ],
)
async def test_the_door_is_that_of_a_name_or_else_of_an_address(
    door: Door, first: Actor, second: Actor, same: bool
) -> None:
    """A client can call itself as it likes, and has all addresses of a network of IPv6."""
    await door.fail(5, first)
    if same:
        assert await door.closed_sec(second) == 60
    else:
        assert await door.fail(1, second) == [4]


async def test_who_tries_many_at_once_has_no_more_tries(door: Door) -> None:
    """A hundred guesses in one moment are five, and the rest is not looked at."""
    await door.ask()
    guesses = [door.say(door.display.wrong) for _ in range(100)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    refused = [each for each in results if isinstance(each, ProximityRefused)]
    closed = [each for each in results if isinstance(each, ProximityClosed)]
    assert (len(refused), len(closed)) == (5, 95)


async def test_one_code_of_many_guesses_at_once_passes_once(door: Door) -> None:
    """Two starts with one code are one start."""
    code = await door.ask()
    results = await asyncio.gather(*(door.say(code) for _ in range(3)), return_exceptions=True)
    assert [each for each in results if each is None] == [None]


async def test_brute_force_does_not_get_through(door: Door) -> None:
    """In a day of guessing without a pause a client has some hundred tries of a million."""
    end, tries = door.clock.seconds + 86_400, 0
    while door.clock.seconds < end:
        try:
            await door.say(door.display.wrong if door.display.shown else '000000')
        except ProximityRefused:
            tries += 1
        except ProximityClosed as closed:
            door.clock.advance(closed.retry_after_sec)
    assert tries < 200


@pytest.mark.parametrize('closings', range(8))
async def test_neither_does_who_rests_when_that_pays(door: Door, closings: int) -> None:
    """Whenever an hour without a failure opens the door anew: fewer than 500 tries a day."""
    end, tries = door.clock.seconds + 86_400, 0
    while door.clock.seconds < end:
        for _ in range(closings):
            tries += len(await door.fail(5))
            door.clock.advance(await door.closed_sec())
        tries += len(await door.fail(4))
        door.clock.advance(FORGOTTEN_SEC)
    assert tries < 500


async def test_the_failures_of_so_many_clients_are_known(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more, those are forgotten that failed longest ago."""
    assert MAX_CLIENTS >= 1000
    monkeypatch.setattr(verified_proximity, 'MAX_CLIENTS', 3)
    for name in ('a', 'b', 'c'):
        await door.fail(1, actor(name))
    await door.fail(1, actor('a'))
    await door.fail(1, actor('d'))
    assert len(door.check._failures) == 3
    assert await door.fail(1, actor('a')) == [2]
    assert await door.fail(1, actor('b')) == [4]


async def test_neither_the_log_nor_an_error_tells_a_code(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever was said."""
    caplog.set_level(logging.DEBUG)
    code = await door.ask()
    wrong = door.display.wrong
    told = []
    for response in (wrong, code, code):
        try:
            await door.say(response)
        except ProximityRefused as error:
            told.append(str(error))
    assert (len(told), re.findall(f'{code}|{wrong}', caplog.text + ''.join(told))) == (2, [])
    assert 'anna@192.0.2.7' in caplog.text


class SiteVerifier:
    """One of a site's own, that does as a test says."""

    def __init__(self, word: Callable[..., Any]) -> None:
        self._word = word

    async def challenge(self, presence: Presence) -> Challenge:
        """Ask for the moon."""
        word = self._word('challenge', presence)
        return await word if isinstance(word, Awaitable) else word  # type: ignore[no-any-return]

    async def verify(self, presence: Presence, response: str) -> bool:
        """Take what the test takes."""
        word = self._word('verify', presence, response)
        return await word if isinstance(word, Awaitable) else word  # type: ignore[no-any-return]


def by(word: Callable[..., Any]) -> VerifiedProximity:
    return VerifiedProximity(SiteVerifier(word), FakeClock(), max_failures=5)


async def test_a_verifier_of_the_site_s_own_is_asked_about_the_presence() -> None:
    """Of the script, its entity and the client; its word counts."""
    asked = []

    def word(*what: object) -> object:
        asked.append(what)
        return Challenge(challenge='moon', valid_sec=1) if what[0] == 'challenge' else True

    check = by(word)
    shown = await check.challenge(ARM, SCRIPT, actor(client_id='tablet'))
    assert shown is not None
    assert shown.challenge == 'moon'
    await check.check(ARM, SCRIPT, Proof(by=actor(client_id='tablet'), response='full'))
    here = Presence(
        entity='apps/arm',
        script_id='check',
        script_name='Check',
        client='anna',
        client_id='tablet',
    )
    assert asked == [('challenge', here), ('verify', here, 'full')]


async def _hangs() -> None:
    await asyncio.Event().wait()


def _fails(*_: object) -> object:
    raise OSError('no such device')


@pytest.mark.parametrize(
    'word',
    [
        _fails,
        lambda *_: _hangs(),
        lambda *_: None,
        lambda *_: Challenge(challenge='x', valid_sec=float('inf')),
        lambda *_: Challenge(challenge='x', valid_sec=float('nan')),
        lambda *_: Challenge(challenge='x', valid_sec=1e300),
    ],
)
async def test_a_verifier_that_fails_lets_nobody_in(
    word: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as out of order, whatever it does; nothing of it leaves but that."""
    monkeypatch.setattr(verified_proximity, 'DEADLINE_SEC', 0.05)
    check = by(word)
    assert await check.challenge(ARM, SCRIPT, ANNA) is None
    with pytest.raises(ProximityUnavailable) as unavailable:
        await check.check(ARM, SCRIPT, Proof(by=ANNA, response=None))
    assert 'device' not in str(unavailable.value)


@pytest.mark.parametrize('word', [None, 0, 1, 'yes', [True], False])
async def test_only_true_is_a_proof(word: object) -> None:
    """What a verifier says otherwise is a refusal, and counts as one."""
    check = by(lambda *_: word)
    for _ in range(5):
        with pytest.raises(ProximityRefused):
            await check.check(ARM, SCRIPT, Proof(by=ANNA, response='x'))
    with pytest.raises(ProximityClosed):
        await check.check(ARM, SCRIPT, Proof(by=ANNA, response='x'))


async def test_a_verifier_that_is_out_of_order_is_no_failure_of_the_client() -> None:
    """The door stays open."""
    check = by(_fails)
    for _ in range(10):
        with pytest.raises(ProximityUnavailable):
            await check.check(ARM, SCRIPT, Proof(by=ANNA, response='x'))


async def test_a_verifier_that_takes_its_time_is_asked_one_try_after_the_other() -> None:
    """Else all that come while it thinks would be looked at."""
    asked: list[str] = []

    async def think(*_: Any) -> bool:
        asked.append('verify')
        await asyncio.sleep(0)
        return False

    check = by(think)
    guesses = (check.check(ARM, SCRIPT, Proof(by=ANNA, response='1')) for _ in range(20))
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert len([each for each in results if isinstance(each, ProximityClosed)]) == 15
    assert len(asked) == 5
