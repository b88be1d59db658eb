# SPDX-License-Identifier: Apache-2.0
"""A proof of proximity, from the challenge in the detail to the start."""

from collections.abc import AsyncIterator
import contextlib
from pathlib import Path
from typing import Any

from api_support import Api, form, serve_api
from clients import bearer, KnownTokens
import pytest
from shown_codes import RecordingDisplay

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.executions.proximity import ProximityUnavailable

ENTITY = 'apps/temp_sensor'
NOW = {'execution_type': 'now'}
ANNA, BERT, EVE = bearer('a'), bearer('b'), bearer('e')
AUTHENTICATION = Authentication(
    [
        KnownTokens(
            {
                'a': Credential(name='anna', role=Role.ADMIN),
                'b': Credential(name='bert', role=Role.OPERATOR),
                'e': Credential(name='eve', role=Role.VIEWER),
            }
        )
    ]
)


class Cell:
    """A served gateway, and what is shown beside its robot."""

    def __init__(self, api: Api, display: RecordingDisplay) -> None:
        self.api = api
        self.display = display

    async def upload(self, **metadata: Any) -> str:
        """Upload a script that requires a proof; return its path."""
        script_id = await self.api.upload(ENTITY, proximity_proof_required=True, **metadata)
        return f'/{ENTITY}/scripts/{script_id}'

    async def start(self, script: str, response: str | None = None, **more: Any) -> Any:
        """Start it; return status and answer."""
        options = {'headers': more.pop('headers', {})}
        body = NOW | more | ({} if response is None else {'proximity_response': response})
        return await self.api.json('POST', f'{script}/executions', json=body, **options)

    async def challenge(self, script: str) -> Any:
        """Return what its detail shows."""
        _, shown = await self.api.json('GET', script)
        return shown.get('proximity_challenge')

    async def ended(self, script: str) -> str:
        """Have an execution of it end; return its id."""
        await self.challenge(script)
        _, started = await self.start(script, self.display.code)
        (await self.api.runner.script(started['id'])).exit(0)
        await self.api.listener.wait_for(started['id'])
        return str(started['id'])


@contextlib.asynccontextmanager
async def cell(tmp_path: Path, **options: Any) -> AsyncIterator[Cell]:
    display = RecordingDisplay()
    async with serve_api(tmp_path, proximity=display.proximity, **options) as api:
        yield Cell(api, display)


async def test_who_reads_the_code_beside_the_robot_starts_the_script(tmp_path: Path) -> None:
    """The detail has the challenge, the display the code; a start without it is told the same."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        shown = await here.challenge(script)
        (told,) = here.display.shown
        assert (shown['challenge'], told['script']['id']) == (
            told['challenge'],
            script.rpartition('/')[2],
        )
        assert shown['valid_until'] == '2026-03-01T12:02:00.000Z'
        status, refused = await here.start(script)
        assert (status, refused['error_code']) == (409, 'precondition-not-fulfilled')
        assert refused['parameters'] == {'proximity_challenge': shown}
        status, started = await here.start(script, here.display.code)
        assert status == 202
        _, execution = await here.api.json('GET', f'/executions/{started["id"]}')
        assert here.display.code not in str(execution)


async def test_no_code_is_shown_anew_for_each_request(tmp_path: Path) -> None:
    """However many ask; lists have no challenge, and ask for none."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        for path in (f'/{ENTITY}/scripts', '/scripts'):
            _, listed = await here.api.json('GET', path)
            assert 'proximity_challenge' not in listed['items'][0]
        assert here.display.shown == []
        for _ in range(5):
            await here.challenge(script)
            await here.start(script)
        assert len(here.display.shown) == 1
        here.api.clock.advance(120)
        await here.challenge(script)
        assert len(here.display.shown) == 2


async def test_a_script_without_need_of_a_proof_shows_no_challenge(tmp_path: Path) -> None:
    """And nothing is shown for it."""
    async with cell(tmp_path) as here:
        script_id = await here.api.upload(ENTITY)
        assert await here.challenge(f'/{ENTITY}/scripts/{script_id}') is None
        assert here.display.shown == []


async def test_a_wrong_expired_or_replayed_code_is_refused(tmp_path: Path) -> None:
    """403, each with how many tries are left; what was said is not repeated."""
    async with cell(tmp_path) as here:
        script, other = await here.upload(), await here.upload()
        await here.challenge(script)
        code = here.display.code
        answers = [await here.start(script, here.display.wrong), await here.start(other, code)]
        status, _ = await here.start(script, code)
        assert status == 202
        answers += [await here.start(script, code)]
        await here.challenge(script)
        here.api.clock.advance(120)
        answers += [await here.start(script, here.display.code)]
        assert [status for status, _ in answers] == [403] * 4
        assert {body['error_code'] for _, body in answers} == {'insufficient-access-rights'}
        assert [body['message'][-1] for _, body in answers] == ['4', '3', '4', '3']
        assert code not in str(answers)


async def test_five_failures_close_the_door_for_a_while(tmp_path: Path) -> None:
    """429 with Retry-After, to the right code too; the detail stays readable, without a
    challenge."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        await here.challenge(script)
        for _ in range(5):
            status, _ = await here.start(script, here.display.wrong)
            assert status == 403
        response = await here.api.request(
            'POST',
            f'{script}/executions',
            json=NOW | {'proximity_response': here.display.code},
        )
        assert (response.status, response.headers['Retry-After']) == (429, '60')
        assert (await response.json())['vendor_code'] == 'x-gateway-proximity-closed'
        assert await here.challenge(script) is None
        here.api.clock.advance(60)
        status, _ = await here.start(script, here.display.code)
        assert status == 202


async def test_a_challenge_is_for_who_may_start_the_script(tmp_path: Path) -> None:
    """A viewer is shown none, and none is made; one client's code is not another's."""
    async with cell(tmp_path, authentication=AUTHENTICATION) as here:
        file = form(b'true\n', 'check.sh', {'proximity_proof_required': True})
        _, uploaded = await here.api.json('POST', f'/{ENTITY}/scripts', data=file, headers=ANNA)
        script = f'/{ENTITY}/scripts/{uploaded["id"]}'
        _, seen = await here.api.json('GET', script, headers=EVE)
        assert 'proximity_challenge' not in seen
        assert (seen['proximity_proof_required'], here.display.shown) == (True, [])
        _, seen = await here.api.json('GET', script, headers=BERT)
        assert seen['proximity_challenge']['challenge'] == here.display.shown[0]['challenge']
        assert here.display.shown[0]['client'] == 'bert'
        code = here.display.code
        assert (await here.start(script, code, headers=ANNA))[0] == 403
        assert (await here.start(script, code, headers={**BERT, 'X-Client-Id': 'x'}))[0] == 403
        assert (await here.start(script, code, headers=EVE))[0] == 403
        assert (await here.start(script, code, headers=BERT))[0] == 202


async def test_a_display_that_does_not_work_is_named(tmp_path: Path) -> None:
    """The start is 503; the detail is shown all the same."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        here.display.refusal = ProximityUnavailable("proximity.command 'show'", 'failed')
        assert await here.challenge(script) is None
        status, refused = await here.start(script)
        assert (status, refused['vendor_code']) == (503, 'x-gateway-proximity-unavailable')
        assert "proximity.command 'show' failed" in refused['message']


async def test_where_nothing_shows_codes_the_answer_says_what_to_set(tmp_path: Path) -> None:
    """501, and no challenge."""
    async with serve_api(tmp_path) as api:
        here = Cell(api, RecordingDisplay())
        script = await here.upload()
        assert await here.challenge(script) is None
        status, refused = await here.start(script, '123456')
        assert (status, refused['error_code']) == (501, 'not-implemented')
        assert 'proximity.command' in refused['message']


async def test_a_start_that_is_sent_again_under_its_key_is_proven_once(tmp_path: Path) -> None:
    """The code is used up; the answer that was lost is given again."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        key = {'Idempotency-Key': 'once'}
        assert (await here.start(script, headers=key))[0] == 409
        code = here.display.code
        _, first = await here.start(script, code, headers=key)
        status, second = await here.start(script, code, headers=key)
        assert (status, second['id']) == (202, first['id'])
        assert (await here.start(script, code))[0] == 403


async def test_a_retry_is_proven_as_a_start_is(tmp_path: Path) -> None:
    """By its own request: nobody stands beside many robots, so an action on many has no code
    shown."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        over = await here.ended(script)
        retry = f'/executions/{over}/retry'
        shown = len(here.display.shown)
        many = {'action': 'retry', 'filter': {}}
        _, acted = await here.api.json('POST', '/executions/actions', json=many)
        (error,) = [each['error'] for each in acted['items']]
        assert error['error_code'] == 'invalid-parameter'
        assert 'among many; start it again by itself' in error['message']
        assert len(here.display.shown) == shown
        status, _ = await here.api.json('POST', retry)
        assert status == 409
        body = {'proximity_response': here.display.code}
        status, _ = await here.api.json('POST', retry, json=body)
        assert status == 202


@pytest.mark.parametrize('execution_type', ['now_and_on_restart', 'on_restart', 'once_on_restart'])
async def test_a_schedule_of_such_a_script_is_refused(tmp_path: Path, execution_type: str) -> None:
    """400, before a code is looked at."""
    async with cell(tmp_path) as here:
        script = await here.upload()
        await here.challenge(script)
        code = here.display.code
        status, refused = await here.start(script, code, execution_type=execution_type)
        (violation,) = refused['parameters']['violations']
        assert (status, violation['path']) == (400, '/body/execution_type')
        assert (await here.start(script, code))[0] == 202


async def test_a_start_on_several_entities_names_those_that_require_a_proof(
    tmp_path: Path,
) -> None:
    """400; the others do not start either."""
    async with cell(tmp_path) as here:
        await here.upload()
        await here.api.upload('components/robot', proximity_proof_required=True)
        await here.api.upload('components/powertrain_engine')
        wish = {'script': 'check.sh', 'entities': '*/*', 'proximity_response': '123456'}
        status, refused = await here.api.json('POST', '/executions', json=wish)
        (violation,) = refused['parameters']['violations']
        assert (status, violation['path']) == (400, '/body/entities')
        assert 'apps/temp_sensor, components/robot' in violation['reason']
        _, listed = await here.api.json('GET', '/executions')
        assert (listed['items'], here.display.shown) == ([], [])


async def test_what_has_no_place_is_refused_and_its_code_stays_good(tmp_path: Path) -> None:
    """It does not wait in line, whatever `queue` says: nobody may stand there by then."""
    async with cell(tmp_path, max_executions=1) as here:
        script = await here.upload()
        other = await here.api.upload(ENTITY)
        _, running = await here.api.running(ENTITY, other)
        await here.challenge(script)
        status, refused = await here.start(script, here.display.code, queue=True)
        assert (status, refused['vendor_code']) == (429, 'x-gateway-limit-reached')
        running.exit(0)
        while (await here.start(script, here.display.code))[0] == 429:
            pass  # each turn is a request: the end is recorded meanwhile


async def test_a_confirmation_comes_before_the_proof(tmp_path: Path) -> None:
    """The code is used up by a start that would pass all else."""
    async with cell(tmp_path) as here:
        script = await here.upload(confirmation='The arm moves.')
        await here.challenge(script)
        code = here.display.code
        status, refused = await here.start(script, code)
        assert (status, 'confirmation' in refused['parameters']) == (409, True)
        assert (await here.start(script, code, confirmed=True))[0] == 202
