# SPDX-License-Identifier: Apache-2.0
"""A robot of which clients want everything at once while its gateway is killed again and again."""

from dataclasses import dataclass, field
from pathlib import Path
import random
import secrets
from typing import Any

from gateway_process import Answer, GatewayProcess
from kill_campaign import APP, COMPONENT, id_of, Robot, Wish

MAX_EXECUTIONS = 6
MAX_EXECUTIONS_PER_ENTITY = 4
MAX_WAITING = 30
BLOB_BYTES = 100_000
MAX_REPEATED = 40
"""Executions that clients have started again; more would only make the end longer."""
ENTITIES = (APP, COMPONENT)

_SIGN_IN = 'echo "$GATEWAY_EXECUTION_ID" >>"$PARAM_WITNESS"\n'
_WORKS = (
    _SIGN_IN
    + 'echo one; sleep "$PARAM_SECONDS"; echo two >&2; echo three\n'
    + f'head -c {BLOB_BYTES} /dev/urandom >"$GATEWAY_ARTIFACTS/blob"\n'
)
_FAILS = _SIGN_IN + 'sleep "$PARAM_SECONDS"; exit 3\n'
_HAS_A_CHILD = """
import os
from gateway_node.script import parameters, start, wait
given = parameters()
with open(given['witness'], 'a') as witness:
    witness.write(os.environ['GATEWAY_EXECUTION_ID'] + '\\n')
wait(start(given['child'], {'witness': given['witness'], 'seconds': given['seconds']}))
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client asked for under a key, and the ids that it was told for it."""

    key: str
    path: str
    body: dict[str, Any]
    ids: list[str] = field(default_factory=list)


class BusyRobot(Robot):
    """What clients ask for, what they were told, and the lives of the gateway."""

    longest_pause_sec = 0.3

    def __init__(self, folder: Path, seed: int, callback_url: str) -> None:
        super().__init__(folder, seed)
        self.asked: list[Asked] = []
        self.accepted: dict[str, str] = {}
        """The href of each execution that clients were told of, by its id."""
        self.repeated = 0
        self._callback_url = callback_url

    def parameters(self) -> dict[str, object]:
        """Let few run at a time, and have the next gateway start what waits."""
        return super().parameters() | {
            'scripts.max_concurrent_executions': MAX_EXECUTIONS,
            'scripts.max_concurrent_executions_per_entity': MAX_EXECUTIONS_PER_ENTITY,
            'executions.max_waiting': MAX_WAITING,
            'line.max_wait_sec': 2.0,
            'restart.start_prepared': True,
            'callbacks.allowed': ['127.0.0.1'],
        }

    def upload_scripts(self, api: GatewayProcess) -> None:
        """Give both entities every script."""
        api.wait_for_app('temp_sensor')
        for entity in ENTITIES:
            for name, content, metadata in (
                ('works.sh', _WORKS, {}),
                ('fails.sh', _FAILS, {'retries': {'limit': 1, 'delay_sec': 0.3}}),
                ('has_a_child.py', _HAS_A_CHILD, {}),
            ):
                self.script_ids[entity, name] = api.upload(entity, content, name=name, **metadata)

    def wishes(self) -> dict[Wish, int]:
        """Return what a client may do, each with how likely it is."""
        return {
            self._start: 40,
            self._ask_again: 15,
            self._start_group: 6,
            self._stop: 6,
            self._prioritise: 8,
            self._pause_or_go_on: 8,
            self._retry: 6,
            self._act: 4,
        }

    def _ask(self, api: GatewayProcess, asked: Asked) -> None:
        answer = api.request(
            'POST', asked.path, json_body=asked.body, headers={'Idempotency-Key': asked.key}
        )
        if answer.status == 202:
            asked.ids.append(answer.body['id'])
            self.accepted[answer.body['id']] = answer.body['href']
        else:
            # Removed meanwhile, or no place in the line.
            self._expect(answer, *((404,) if asked.ids else (404, 409, 429)))

    def _expect(self, answer: Answer, *statuses: int) -> None:
        if answer.status not in statuses:
            self.told.refused.append(answer)

    def _wish(self, chance: random.Random) -> dict[str, Any]:
        key = secrets.token_hex(8)
        wish: dict[str, Any] = {
            'parameters': {
                'key': key,
                'witness': str(self.witness),
                'seconds': round(chance.uniform(0, 0.8), 2),
            },
            'priority': chance.choice((10, 50, 90)),
        }
        if chance.random() < 0.4:
            wish['callback'] = f'{self._callback_url}/{key}'
        return wish

    def _add(self, api: GatewayProcess, path: str, body: dict[str, Any]) -> Asked:
        asked = Asked(key=body['parameters']['key'], path=path, body=body)
        self.asked.append(asked)
        self._ask(api, asked)
        return asked

    def _start(self, api: GatewayProcess, chance: random.Random) -> None:
        entity = chance.choice(ENTITIES)
        name = chance.choices(('works.sh', 'fails.sh', 'has_a_child.py'), (6, 2, 2))[0]
        body = self._wish(chance) | {'execution_type': 'now'}
        if name == 'has_a_child.py':
            child = chance.choice(('works.sh', 'fails.sh'))
            body['parameters']['child'] = self.script_ids[entity, child]
        path = f'/{entity}/scripts/{self.script_ids[entity, name]}/executions'
        asked = self._add(api, path, body)
        if chance.random() < 0.3:
            self._ask(api, asked)

    def _start_group(self, api: GatewayProcess, chance: random.Random) -> None:
        body = self._wish(chance) | {
            'script': chance.choice(('works.sh', 'fails.sh')),
            'entities': list(ENTITIES),
            'max_parallel': chance.choice((1, 2)),
        }
        self._add(api, '/executions', body)

    def _ask_again(self, api: GatewayProcess, chance: random.Random) -> None:
        unanswered = [each for each in self.asked[-50:] if not each.ids]
        if unanswered or self.asked:
            self._ask(api, chance.choice(unanswered or self.asked))

    def _one(self, chance: random.Random) -> str | None:
        hrefs = [*self.accepted.values()][-15:]
        return chance.choice(hrefs) if hrefs else None

    def _stop(self, api: GatewayProcess, chance: random.Random) -> None:
        if href := self._one(chance):
            action = chance.choice(('stop', 'forced_termination'))
            self._expect(
                api.request('PUT', href, json_body={'action': action}), 200, 204, 404, 409
            )

    def _prioritise(self, api: GatewayProcess, chance: random.Random) -> None:
        if href := self._one(chance):
            body = {'priority': chance.randrange(101)}
            self._expect(api.request('PATCH', href, json_body=body), 200, 404, 409)

    def _pause_or_go_on(self, api: GatewayProcess, chance: random.Random) -> None:
        path = chance.choice(('/line', *(f'/{entity}/line' for entity in ENTITIES)))
        body = {'paused': chance.random() < 0.2}
        self._expect(api.request('PUT', path, json_body=body), 200)

    def _retry(self, api: GatewayProcess, chance: random.Random) -> None:
        href = self._one(chance)
        if href is not None and self.repeated < MAX_REPEATED:
            self.repeated += 1
            answer = api.request('POST', f'{href}/retry')
            self._expect(answer, 202, 404, 409, 429)
            if answer.status == 202:
                self.accepted[id_of(answer.body['href'])] = answer.body['href']

    def _act(self, api: GatewayProcess, chance: random.Random) -> None:
        action, wanted = chance.choice(
            (
                ('stop', {'status': 'prepared'}),
                ('delete', {'status': 'terminated'}),
                ('delete', {'status': 'failed', 'exit_code': 3}),
            )
        )
        body = {'action': action, 'filter': {**wanted, 'entity': chance.choice(ENTITIES)}}
        self._expect(api.request('POST', '/executions/actions', json_body=body), 200)
