# SPDX-License-Identifier: Apache-2.0
"""A robot behind every wall that a gateway has, and those who want something of it."""

import contextlib
import io
import json
from pathlib import Path
import random
import re
import secrets
import time
from typing import Any

from certificates import Authority
from gateway_process import Answer, GatewayProcess
from guests import Guest, Heard, Person
from jwts import AUDIENCE, ISSUER, key_set, token
from kill_campaign import APP, COMPONENT, Robot, Wish
from seeds import Seeds

from gateway_node.access import token_command
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

ENTITIES = (APP, COMPONENT)
PEOPLE = {
    each.name: each
    for each in (
        Person(name='vera', role=Role.VIEWER),
        Person(name='anna', role=Role.OPERATOR, scope=Scope(entities=('apps/*',))),
        Person(name='otto', role=Role.OPERATOR, scope=Scope(scripts=('works*',))),
        Person(name='carl', role=Role.CONFIGURATOR, scope=Scope(entities=('apps/*',))),
        Person(name='root', role=Role.ADMIN),
        Person(name='jane', role=Role.OPERATOR),
    )
}
"""Jane shows a JSON Web Token, the others what is in the tokens file."""
_SHOW_CODE = 'cat >"$0/$$.part" && mv "$0/$$.part" "$0/$$.json"'
"""In place of a display."""
_SIGN_IN = (
    'echo "$GATEWAY_EXECUTION_ID" >>"$PARAM_WITNESS"\n'
    'echo "$GATEWAY_URL $(cat "$GATEWAY_CREDENTIALS")" >>"$PARAM_CREDENTIALS"\n'
    'read -r given\ncase $given in *secret_*) echo has it;; esac\n'
)
_WORKS = _SIGN_IN + 'sleep "$PARAM_SECONDS"\n'
_HAS_A_CHILD = """
import os
from gateway_node.script import parameters, start, wait
given = parameters()
with open(given['witness'], 'a') as witness:
    witness.write(os.environ['GATEWAY_EXECUTION_ID'] + '\\n')
child = given.pop('child')
wait(start(child, given))
"""
_TAKES_A_SECRET = {
    'type': 'object',
    'properties': {'secret': {'type': 'string', 'format': 'password'}},
    'required': ['secret'],
}
SCRIPTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ('works.sh', _WORKS, {}),
    ('beside.sh', _WORKS, {'proximity_proof_required': True}),
    ('works_with_a_child.py', _HAS_A_CHILD, {}),
)
_OF_SCRIPT = re.compile(r'^(http\S+) .*?(gwx_[\w-]+)', re.MULTILINE)


class GuardedRobot(Robot):
    """Its credentials, who shows them, and the lives of the gateway."""

    longest_pause_sec = 0.1

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.seeds = Seeds(folder / 'private')
        private = self.seeds.private
        self.heard = Heard(file=folder / 'heard.txt')
        self.heard.file.touch()
        self._authority = Authority()
        self.trust = self._authority.trust()
        self._certificates = self._authority.issue().write(private)
        self._shown = private / 'shown'
        self._shown.mkdir()
        self._credentials = private / 'credentials'
        self._credentials.touch()
        self.tokens = {
            name: _token_for(private / 'tokens.yaml', person)
            for name, person in PEOPLE.items()
            if name != 'jane'
        }
        keys = private / 'keys.json'
        keys.touch(mode=0o600)
        keys.write_bytes(key_set('HS256'))
        self.tokens['jane'] = _jwt_for('jane')
        self.seeds.add(*self.tokens.values())
        self.used_codes: set[str] = set()
        self._own: list[tuple[str, str]] = []
        """Entity and id of scripts that carl has uploaded, and may delete."""
        self._locks: list[tuple[str, str, str]] = []
        """Who took it, its entity, its id."""

    def parameters(self) -> dict[str, object]:
        """Have all of it at once."""
        private = self.seeds.private
        return super().parameters() | {
            'scripts.max_concurrent_executions': 8,
            'server.tls.certificate_file': str(private / 'certificate.pem'),
            'server.tls.key_file': str(private / 'key.pem'),
            'auth.tokens_file': str(private / 'tokens.yaml'),
            'auth.jwt.keys_file': str(private / 'keys.json'),
            'auth.jwt.issuer': ISSUER,
            'auth.jwt.audience': AUDIENCE,
            'auth.open_probes': False,
            'audit.required': True,
            'proximity.command': ['sh', '-c', _SHOW_CODE, str(self._shown)],
            'proximity.code_digits': 12,
            'proximity.max_failures': 100,
            'restart.start_prepared': True,
            'history.max_executions': 30,
            'history.archive_dir': str(self.folder / 'archive'),
        }

    def guest(
        self, api: GatewayProcess, name: str, *, token: str | None = None, address: str = ''
    ) -> Guest:
        """Return the gateway as this person sees it, or as somebody with this token does."""
        return Guest(
            api.process,
            api.log_file,
            port=self.port,
            trust=self.trust,
            heard=self.heard,
            token=token or self.tokens.get(name),
            address=address or '127.0.0.1',
        )

    def upload_scripts(self, api: GatewayProcess) -> None:
        """Give both entities every script."""
        root = self.guest(api, 'root')
        root.wait_for_app('temp_sensor')
        for entity in ENTITIES:
            for name, content, metadata in SCRIPTS:
                self.script_ids[entity, name] = root.upload(
                    entity, content, name=name, parameters_schema=_TAKES_A_SECRET, **metadata
                )

    def know_credentials_of_scripts(self) -> list[tuple[str, str]]:
        """Return where each script could show what; it is searched for from now on."""
        found = _OF_SCRIPT.findall(self._credentials.read_text(encoding='utf-8'))
        self.seeds.add(*(token for _, token in found))
        return found

    def wishes(self) -> dict[Wish, int]:
        """Return what a client may do, each with how likely it is."""
        return {
            self._start: 30,
            self._stand_beside: 10,
            self._stop_or_delete: 8,
            self._lock: 8,
            self._unlock: 8,
            self._upload: 5,
            self._replace_or_delete: 4,
            self._read: 12,
            self._use_a_session: 6,
            self._be_a_stranger: 4,
        }

    def _anybody(self, api: GatewayProcess, chance: random.Random) -> Guest:
        return self.guest(api, chance.choice([*PEOPLE]))

    def _wish(self, chance: random.Random) -> dict[str, Any]:
        secret = f'secret_{secrets.token_hex(12)}'
        self.seeds.add(secret)
        parameters = {
            'secret': secret,
            'witness': str(self.witness),
            'credentials': str(self._credentials),
            'seconds': round(chance.uniform(0, 0.5), 2),
        }
        return {'execution_type': 'now', 'parameters': parameters}

    def _start(self, api: GatewayProcess, chance: random.Random) -> None:
        entity = chance.choice(ENTITIES)
        name = chance.choice(('works.sh', 'works.sh', 'works_with_a_child.py'))
        wish = self._wish(chance)
        if name != 'works.sh':
            wish['parameters']['child'] = self.script_ids[entity, 'works.sh']
        path = f'/{entity}/scripts/{self.script_ids[entity, name]}/executions'
        self._anybody(api, chance).request(
            'POST', path, json_body=wish, headers={'Idempotency-Key': secrets.token_hex(8)}
        )

    def _stand_beside(self, api: GatewayProcess, chance: random.Random) -> None:
        entity, guest = chance.choice(ENTITIES), self._anybody(api, chance)
        path = f'/{entity}/scripts/{self.script_ids[entity, "beside.sh"]}/executions'
        # A code is for a client as it calls itself, too.
        tag = {'X-Client-Id': secrets.token_hex(8)}
        wish = self._wish(chance)
        answer = guest.request('POST', path, json_body=wish, headers=tag)
        challenge = (
            answer.body['parameters'].get('proximity_challenge')
            if (answer.status == 409)
            else None
        )
        if challenge is None:
            return
        code = self._code_of(challenge['challenge'])
        proven = {**wish, 'proximity_response': code}
        for sent in (None, tag, tag):
            answer = guest.request('POST', path, json_body=proven, headers=sent)
            self._check_proof(answer, code, is_for_it=sent is tag)

    def _check_proof(self, answer: Answer, code: str, *, is_for_it: bool) -> None:
        if answer.status == 202:
            with self.heard.turn:
                if code in self.used_codes or not is_for_it:
                    self.heard.faults.append(f'a code is taken again: {answer}')
                self.used_codes.add(code)

    def _code_of(self, challenge: str) -> str:
        told = [json.loads(each.read_text()) for each in self._shown.glob('*.json')]
        (code,) = {each['code'] for each in told if each['challenge'] == challenge}
        self.seeds.add(code)
        return str(code)

    def _stop_or_delete(self, api: GatewayProcess, chance: random.Random) -> None:
        items = self.guest(api, 'root').request('GET', '/executions?limit=20').body.get('items')
        if not items:
            return
        href = chance.choice(items)['href']
        guest = self._anybody(api, chance)
        if chance.random() < 0.5:
            guest.request('PUT', href, json_body={'action': 'stop'})
        else:
            guest.request('DELETE', href)

    def _lock(self, api: GatewayProcess, chance: random.Random) -> None:
        name, entity = chance.choice([*PEOPLE]), chance.choice(ENTITIES)
        body: dict[str, Any] = {'lock_expiration': 3600}
        if chance.random() < 0.3:
            body['break_lock'] = True
        answer = self.guest(api, name).lock(entity, body)
        if answer.status == 201:
            self._locks.append((name, entity, answer.body['id']))

    def _unlock(self, api: GatewayProcess, chance: random.Random) -> None:
        if not self._locks:
            return
        holder, entity, lock_id = chance.choice(self._locks)
        name = chance.choice((holder, holder, chance.choice([*PEOPLE])))
        path = f'/{entity}/locks/{lock_id}'
        if chance.random() < 0.2:
            self.guest(api, name).request('PUT', path, json_body={'lock_expiration': 1800})
        elif self.guest(api, name).request('DELETE', path).status in (204, 404):
            with contextlib.suppress(ValueError):
                self._locks.remove((holder, entity, lock_id))

    def unlock_all(self, api: GatewayProcess) -> None:
        """Have nobody hold anything."""
        root = self.guest(api, 'root')
        for entity in ENTITIES:
            answer = root.lock(entity, {'lock_expiration': 60, 'break_lock': True})
            assert answer.status == 201, answer
            path = f'/{entity}/locks/{answer.body["id"]}'
            assert root.request('DELETE', path).status == 204

    def _upload(self, api: GatewayProcess, chance: random.Random) -> None:
        entity = chance.choice(ENTITIES)
        answer = self._anybody(api, chance).send_form(
            'POST', f'/{entity}/scripts', 'true\n', name='other.sh'
        )
        if answer.status == 201:
            self._own.append((entity, answer.body['id']))

    def _replace_or_delete(self, api: GatewayProcess, chance: random.Random) -> None:
        if not self._own:
            return
        entity, script_id = chance.choice(self._own)
        guest, path = self._anybody(api, chance), f'/{entity}/scripts/{script_id}'
        if chance.random() < 0.5:
            guest.send_form('PUT', path, 'true again\n', name='other.sh')
        else:
            guest.request('DELETE', path)

    def _read(self, api: GatewayProcess, chance: random.Random) -> None:
        path = chance.choice(
            ('/executions', '/events', '/scripts', '/audit', '/health', '/executions/stats')
        )
        self._anybody(api, chance).request('GET', path)

    def _use_a_session(self, api: GatewayProcess, chance: random.Random) -> None:
        name = chance.choice(('anna', 'carl', 'root'))
        asks = self.guest(api, 'nobody', address='127.0.0.3')
        secret = {'client_id': name, 'client_secret': self.tokens[name]}
        wish = {'grant_type': 'client_credentials', **secret}
        session = self._session(asks.request('POST', '/auth/authorize', json_body=wish))
        if session is None:
            return
        refresh = {'grant_type': 'refresh_token', 'refresh_token': session['refresh_token']}
        newer = self._session(asks.request('POST', '/auth/token', json_body=refresh))
        if newer is None:
            return
        guest = self.guest(api, name, token=newer['access_token'], address='127.0.0.3')
        guest.request('GET', '/executions')
        entity = chance.choice(ENTITIES)
        path = f'/{entity}/scripts/{self.script_ids[entity, "works.sh"]}/executions'
        guest.request('POST', path, json_body=self._wish(chance))
        if chance.random() < 0.5:
            over = asks.request('POST', '/auth/token', json_body=refresh)  # a second time
        else:
            wish = {'token': newer['access_token']}
            over = asks.request('POST', '/auth/revoke', json_body=wish)
        # Who was wrong often waits before anything is looked at.
        is_over = over.status in (200, 400)
        if is_over and guest.request('GET', '/executions').status == 200:
            self.heard.faults.append('a session is over, and its token is taken')

    def _session(self, answer: Answer) -> dict[str, str] | None:
        if answer.status != 200:
            return None
        self.seeds.add(answer.body['access_token'], answer.body['refresh_token'])
        return dict(answer.body)

    def _be_a_stranger(self, api: GatewayProcess, chance: random.Random) -> None:
        token = chance.choice((None, f'gwt_{secrets.token_urlsafe(32)}'))
        guest = self.guest(api, 'nobody', token=token, address='127.0.0.4')
        entity = chance.choice(ENTITIES)
        for method, path in (('GET', '/health/live'), ('POST', f'/{entity}/scripts')):
            answer = guest.request(method, path)
            if answer.status not in (401, 429, 503):
                self.heard.faults.append(f'a stranger is answered {answer}')


def _token_for(file: Path, person: Person) -> str:
    """Make a token as an operator does; return it."""
    options = [f'--file={file}', f'--name={person.name}', f'--role={person.role.value}']
    for kind in ('entities', 'scripts'):
        globs = getattr(person.scope, kind)
        options += [] if globs is None else [f'--{kind}', *globs]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        token_command.main(options)
    return shown.getvalue().strip()


def _jwt_for(name: str) -> str:
    now = int(time.time())
    claims = {'iss': ISSUER, 'aud': AUDIENCE, 'sub': name, 'iat': now, 'exp': now + 36_000}
    return token({**claims, 'role': PEOPLE[name].role.value}, kid='HS256')
