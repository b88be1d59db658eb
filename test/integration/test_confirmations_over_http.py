# SPDX-License-Identifier: Apache-2.0
"""A confirmation, from the metadata to the start."""

from pathlib import Path
from typing import Any

from api_support import Api, form, serve_api

ENTITY = 'apps/temp_sensor'
TEXT = 'The arm moves.\nNobody may stand in its cell.'


async def ended(api: Api, script_id: str, **body: Any) -> str:
    """Have an execution end; return its id."""
    execution_id = await api.start(ENTITY, script_id, **body)
    (await api.runner.script(execution_id)).exit(0)
    await api.listener.wait_for(execution_id)
    return execution_id


async def test_a_script_shows_what_is_to_be_confirmed(tmp_path: Path) -> None:
    """In its detail, in lists, and where its start is described."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY, confirmation=TEXT)
        _, shown = await api.json('GET', f'/{ENTITY}/scripts/{script_id}')
        _, listed = await api.json('GET', f'/{ENTITY}/scripts')
        _, found = await api.json('GET', '/scripts')
        told = [shown, *listed['items'], *found['items']]
        assert [each['confirmation'] for each in told] == [TEXT] * 3
        _, described = await api.json('GET', f'/{ENTITY}/scripts/{script_id}/docs')
        start = described['paths'][f'/{ENTITY}/scripts/{script_id}/executions']['post']
        assert start['x-gateway-confirmation'] == TEXT


async def test_a_start_is_confirmed_by_a_second_request(tmp_path: Path) -> None:
    """The first one is answered with all that a person needs to decide; the key is free yet."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY, confirmation=TEXT)
        start = f'/{ENTITY}/scripts/{script_id}/executions'
        body = {'execution_type': 'now', 'parameters': {'speed': 0.2}}
        key = {'Idempotency-Key': 'once'}
        status, refused = await api.json('POST', start, json=body, headers=key)
        assert (status, refused) == (
            409,
            {
                'error_code': 'precondition-not-fulfilled',
                'message': f'to be confirmed with "confirmed": true: {TEXT}',
                'parameters': {
                    'confirmation': TEXT,
                    'entities': [ENTITY],
                    'input_parameters': {'speed': 0.2},
                    'arguments': [],
                },
            },
        )
        confirmed = body | {'confirmed': True}
        status, started = await api.json('POST', start, json=confirmed, headers=key)
        assert status == 202
        _, again = await api.json('POST', start, json=confirmed, headers=key)
        assert again['id'] == started['id']
        _, shown = await api.json('GET', f'/executions/{started["id"]}')
        assert 'confirmed' not in shown


async def test_a_start_may_name_what_it_confirms(tmp_path: Path) -> None:
    """As the refusal told it: what the script came to say since is told, and not confirmed."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY, confirmation='Nothing moves.')
        script = f'/{ENTITY}/scripts/{script_id}'
        body: dict[str, Any] = {'execution_type': 'now'}
        _, refused = await api.json('POST', f'{script}/executions', json=body)
        body['confirmed'] = refused['parameters']['confirmation']
        new = form(b'false\n', 'check.sh', {'confirmation': TEXT})
        assert (await api.json('PUT', script, data=new))[0] == 200
        status, refused = await api.json('POST', f'{script}/executions', json=body)
        assert (status, refused['parameters']['confirmation']) == (409, TEXT)
        body['confirmed'] = TEXT
        assert (await api.json('POST', f'{script}/executions', json=body))[0] == 202
        body['confirmed'] = 1
        status, refused = await api.json('POST', f'{script}/executions', json=body)
        assert (status, refused['error_code']) == (400, 'invalid-parameter')


async def test_a_retry_is_confirmed_as_a_start_is(tmp_path: Path) -> None:
    """By its own request, and as an action on many; shown is what would be given again."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY, confirmation=TEXT)
        over = await ended(api, script_id, confirmed=True, parameters={'speed': 0.2})
        status, refused = await api.json('POST', f'/executions/{over}/retry')
        assert (status, refused['error_code']) == (409, 'precondition-not-fulfilled')
        assert refused['parameters']['input_parameters'] == {'speed': 0.2}
        retry: dict[str, Any] = {'action': 'retry', 'filter': {'script': script_id}}
        _, acted = await api.json('POST', '/executions/actions', json=retry)
        (item,) = acted['items']
        assert (item['result'], item['error']) == ('refused', refused)
        retry['confirmed'] = True
        _, acted = await api.json('POST', '/executions/actions', json=retry)
        assert [each['result'] for each in acted['items']] == ['done']
        body = {'confirmed': True}
        status, _ = await api.json('POST', f'/executions/{over}/retry', json=body)
        assert status == 202


async def test_a_start_on_several_entities_is_confirmed_for_all(tmp_path: Path) -> None:
    """With one word."""
    async with serve_api(tmp_path) as api:
        for entity in (ENTITY, 'components/robot'):
            await api.upload(entity, confirmation=TEXT)
        wish: dict[str, Any] = {'script': 'check.sh', 'entities': '*/*'}
        status, refused = await api.json('POST', '/executions', json=wish)
        assert (status, refused['parameters']['confirmation']) == (409, TEXT)
        assert refused['parameters']['entities'] == [ENTITY, 'components/robot']
        wish['confirmed'] = True
        status, started = await api.json('POST', '/executions', json=wish)
        assert (status, started['children']['total']) == (202, 2)


async def test_a_replacement_keeps_what_is_to_be_confirmed_unless_it_says_otherwise(
    tmp_path: Path,
) -> None:
    """`null` takes it away; what earlier versions asked for is told of them."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY, confirmation=TEXT)
        await ended(api, script_id, confirmed=True)
        script = f'/{ENTITY}/scripts/{script_id}'
        _, kept = await api.json('PUT', script, data=form(b'false\n', 'check.sh'))
        assert kept['confirmation'] == TEXT
        without = form(b'exit 1\n', 'check.sh', {'confirmation': None})
        _, replaced = await api.json('PUT', script, data=without)
        assert 'confirmation' not in replaced
        await api.start(ENTITY, script_id)
        _, versions = await api.json('GET', f'{script}/versions')
        assert [each.get('confirmation') for each in versions['items']] == [None, TEXT]
