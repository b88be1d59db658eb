# SPDX-License-Identifier: Apache-2.0
"""Codes that are shown beside the robot: each once, for one client, one script, one moment."""

import asyncio
from dataclasses import replace

from fakes import FakeClock
import pytest
from shown_codes import presence, RecordingDisplay
from waiting import wait_until

from gateway_node.access.one_time_codes import MAX_CODES, MAX_CODES_OF_CLIENT, OneTimeCodes
from gateway_node.access.proximity_verifier import Presence
from gateway_node.executions.proximity import ProximityClosed, ProximityUnavailable

ANNA = presence()
OTHERS = (
    presence('other'),
    presence(entity='components/arm'),
    presence(client='bert'),
    presence(client_id='tablet'),
)


@pytest.fixture
def display() -> RecordingDisplay:
    """Return where codes are shown."""
    return RecordingDisplay()


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock."""
    return FakeClock()


@pytest.fixture
def codes(display: RecordingDisplay, clock: FakeClock) -> OneTimeCodes:
    """Return codes of six digits that are valid for two minutes."""
    return OneTimeCodes([display], clock, digits=6, valid_sec=120)


async def test_a_code_is_shown_with_what_it_is_for(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """And with the challenge, by which who reads it knows that it is theirs."""
    asked = await codes.challenge(presence(client_id='tablet'))
    (shown,) = display.shown
    assert shown.pop('code').isdecimal()
    assert shown == {
        'challenge': asked.challenge,
        'valid_sec': 120,
        'entity': 'apps/arm',
        'script': {'id': 'check', 'name': 'Check'},
        'client': 'anna',
        'client_id': 'tablet',
    }
    assert asked.valid_sec == 120


async def test_a_code_has_as_many_digits_as_is_said(
    display: RecordingDisplay, clock: FakeClock
) -> None:
    """Zeros in front included."""
    codes = OneTimeCodes([display], clock, digits=4, valid_sec=10)
    for number in range(200):
        await codes.challenge(presence(client=str(number)))
        clock.advance(10)
    assert {len(each['code']) for each in display.shown} == {4}
    assert any(each['code'].startswith('0') for each in display.shown)
    assert len({each['code'] for each in display.shown}) > 100


async def test_a_code_is_right_once(codes: OneTimeCodes, display: RecordingDisplay) -> None:
    """Replayed, it proves nothing; nor does the next one before it is asked for."""
    await codes.challenge(ANNA)
    assert await codes.verify(ANNA, display.code)
    assert not await codes.verify(ANNA, display.code)
    await codes.challenge(ANNA)
    assert not await codes.verify(ANNA, display.wrong)
    assert len(display.shown) == 2


@pytest.mark.parametrize('answered', ['', ' ', '12345', '1234567', 'abcdef', '١٢٣٤٥٦', '\0'])
async def test_what_is_no_code_is_wrong(codes: OneTimeCodes, answered: str) -> None:
    """Whatever it is; nothing fails of it."""
    await codes.challenge(ANNA)
    assert not await codes.verify(ANNA, answered)


async def test_spaces_around_a_code_do_not_matter(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """A person typed it."""
    await codes.challenge(ANNA)
    assert await codes.verify(ANNA, f' {display.code}\n')


@pytest.mark.parametrize('other', OTHERS)
async def test_a_code_is_of_one_script_of_one_entity_and_of_one_client(
    codes: OneTimeCodes, display: RecordingDisplay, other: Presence
) -> None:
    """For nothing else it is right, and it stays right for its own."""
    await codes.challenge(ANNA)
    code = display.code
    assert not await codes.verify(other, code)
    await codes.challenge(other)
    assert display.code == code or not await codes.verify(other, code)
    assert await codes.verify(ANNA, code)


async def test_a_script_that_is_called_otherwise_is_the_same(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """Its id is what counts."""
    await codes.challenge(ANNA)
    assert await codes.verify(replace(ANNA, script_name='Other'), display.code)


async def test_a_code_expires_by_the_monotonic_clock(
    codes: OneTimeCodes, display: RecordingDisplay, clock: FakeClock
) -> None:
    """A jump of the wall clock neither ends nor prolongs it."""
    await codes.challenge(ANNA)
    clock.wall = clock.wall.replace(year=2036)
    clock.seconds += 119
    assert (await codes.challenge(ANNA)).valid_sec == 1
    clock.wall = clock.wall.replace(year=2016)
    clock.seconds += 1
    assert not await codes.verify(ANNA, display.code)


async def test_no_code_is_shown_anew_while_one_is_valid(
    codes: OneTimeCodes, display: RecordingDisplay, clock: FakeClock
) -> None:
    """However often, and by however many at a time, it is asked for."""
    display.go_on.clear()
    asking = [asyncio.ensure_future(codes.challenge(ANNA)) for _ in range(20)]
    await asyncio.sleep(0)
    display.go_on.set()
    challenges = {each.challenge for each in await asyncio.gather(*asking)}
    clock.advance(60)
    challenges.add((await codes.challenge(ANNA)).challenge)
    assert (len(challenges), len(display.shown)) == (1, 1)
    clock.advance(60)
    assert (await codes.challenge(ANNA)).challenge not in challenges
    assert len(display.shown) == 2


async def test_who_goes_while_a_code_is_shown_finds_it_valid(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """What stands on the display is what counts."""
    display.go_on.clear()
    asking = asyncio.ensure_future(codes.challenge(ANNA))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    display.go_on.set()
    await wait_until(lambda: bool(display.shown), what='the code, although nobody waits for it')
    await codes.challenge(ANNA)
    assert len(display.shown) == 1
    assert await codes.verify(ANNA, display.code)


async def test_what_cannot_be_shown_is_not_valid(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """The next one who asks has it shown."""
    display.refusal = ProximityUnavailable('the display', 'is dark')
    with pytest.raises(ProximityUnavailable, match='the display is dark'):
        await codes.challenge(ANNA)
    display.refusal = None
    await codes.challenge(ANNA)
    assert await codes.verify(ANNA, display.code)


async def test_one_display_that_works_is_enough(
    display: RecordingDisplay, clock: FakeClock
) -> None:
    """Whichever it is."""
    dark = RecordingDisplay()
    dark.refusal = ProximityUnavailable('the display', 'is dark')
    for displays in ([dark, display], [display, dark]):
        codes = OneTimeCodes(displays, clock, digits=6, valid_sec=120)
        await codes.challenge(ANNA)
        assert await codes.verify(ANNA, display.code)


async def test_so_many_codes_are_valid_and_no_more(
    codes: OneTimeCodes, display: RecordingDisplay, clock: FakeClock
) -> None:
    """One client cannot have them all, whatever it calls itself; they are free once expired."""
    for number in range(MAX_CODES_OF_CLIENT):
        await codes.challenge(presence(client_id=str(number)))
    with pytest.raises(ProximityClosed) as closed:
        await codes.challenge(ANNA)
    assert closed.value.headers == {'Retry-After': '120'}
    for number in range(MAX_CODES - MAX_CODES_OF_CLIENT):
        await codes.challenge(presence(client=f'other {number}'))
    with pytest.raises(ProximityClosed):
        await codes.challenge(presence(client='bert'))
    assert len(display.shown) == MAX_CODES
    clock.advance(120)
    await codes.challenge(ANNA)
    assert len(codes._codes) == 1


async def test_no_code_is_kept_as_it_was_shown(
    codes: OneTimeCodes, display: RecordingDisplay
) -> None:
    """A dump of what is kept tells none."""
    await codes.challenge(ANNA)
    assert display.code not in repr(codes._codes)
