# SPDX-License-Identifier: Apache-2.0
"""Hooks of schemathesis: what a request is for is there when it is sent, whatever requests before
it deleted, stopped or locked; and each answer is counted.

schemathesis loads this file alone, in a process of its own. It is told by the environment where
the gateway is, and where the counts go.
"""

import atexit
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
import json
import os
from pathlib import Path
import re
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

import schemathesis
from schemathesis import Case, HookContext, Response

GATEWAY, TOKEN, COUNTS = 'ATTACKED_GATEWAY', 'ATTACKED_TOKEN', 'ATTACKED_COUNTS'
NARROWED = 'ATTACKED_BY_NARROWED'
"""Variables: its URL, an admin's token or nothing, the file of the counts; and something where who
asks is to hear nothing of the other entity."""
PRETENDED = {
    'script_id': 'self_test',
    'execution_id': 'exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8',
    'instance': 'attacked',
    'lock_id': 'lock_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8',
    'sequence': '9007199254740991',
    'path': 'note.txt',
}
"""What a path names that is to find what is there. Each but the first and the last is of nothing
until a hook says which."""
ENTITY = 'apps/temp_sensor'
BESIDE = {
    'entity_id': 'yy_quiet_arm',
    'script_id': 'yy_quiet_check',
    'instance': 'yy_quiet_hours',
}
"""What is on another entity, with the same mark in all that is said of it."""
MARK = 'yy_quiet'
NOBODY_THERE = 'http://127.0.0.1:9/'
"""Where ends are told in vain."""
HOLDER = 'holder'
"""The client that holds a lock where a request names none."""
_SCRIPT = f'/{ENTITY}/scripts/{PRETENDED["script_id"]}'
_BY_ID = '_of_executions_execution_id'
"""Where an operation has a short path too, what its name goes on with."""
_LONGEST_TARGET = 7500
"""Bytes of a query; longer ones are refused by the HTTP parser, in plain text, whatever the values
are."""

Answer = tuple[int, Any]


class Attacked:
    """The gateway, as somebody sees it who may do all."""

    def __init__(self) -> None:
        token = os.environ.get(TOKEN)
        self._url = os.environ[GATEWAY]
        self._headers = {} if token is None else {'Authorization': f'Bearer {token}'}
        self._ended: list[str] = []
        self._beside: str | None = None

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request; return status and body."""
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                'Content-Type': 'application/json',
                **self._headers,
                **{name.replace('_', '-'): value for name, value in headers.items()},
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        return status, json.loads(content) if content else None

    def two_ended(self) -> tuple[str, str]:
        """Return executions that passed, with evidence; the second one is the older."""
        there = [each for each in self._ended if self._has(f'/executions/{each}')]
        self._ended = [*(self.ended() for _ in range(2 - len(there))), *there]
        newer, older = sorted(self._ended, reverse=True)
        return newer, older

    def ended(self) -> str:
        """Return an execution that may be deleted."""
        return self._start(callback=NOBODY_THERE, wait='wait=30')

    def running(self) -> str:
        """Return an execution that runs until it is stopped."""
        self._stop_all()
        return self._start(parameters={'seconds': 50})

    def waiting(self) -> str:
        """Return an execution that waits in line, which is held."""
        self.ask('PUT', '/line', {'paused': True})
        return self._start()

    def lock(self, client: str) -> str:
        """Return a lock that a client holds from now on."""
        body = {'lock_expiration': 60, 'break_lock': True}
        _, lock = self.ask('POST', f'/{ENTITY}/locks', body, X_Client_Id=client)
        return str(lock['id'])

    def unlock(self) -> None:
        """Let nobody hold the entity."""
        lock_id = self.lock(HOLDER)
        self.ask('DELETE', f'/{ENTITY}/locks/{lock_id}', X_Client_Id=HOLDER)

    def resume(self) -> None:
        """Let the line go on."""
        for path in ('', f'/{ENTITY}'):
            self.ask('PUT', f'{path}/line', {'paused': False})

    def an_instance(self) -> str:
        """Return an instance."""
        name = PRETENDED['instance']
        if not self._has(f'{_SCRIPT}/instances/{name}'):
            self.ask(
                'POST',
                f'{_SCRIPT}/instances',
                {
                    'name': name,
                    'parameters': {'seconds': 50},
                    'start_triggers': [
                        {'condition': {'topic': '/temperature', 'field': 'celsius', 'above': 60}}
                    ],
                    'stop_triggers': [{'condition': {'node': '/driver', 'present': False}}],
                    'preconditions': [{'condition': {'node': '/driver'}, 'hold': True}],
                },
            )
        return name

    def idle_instance(self) -> str:
        """Return an instance of which nothing runs."""
        name = self.an_instance()
        self.ask('POST', f'{_SCRIPT}/instances/{name}/actions', {'action': 'stop'})
        return name

    def running_instance(self) -> str:
        """Return an instance that runs until it is stopped."""
        name = self.an_instance()
        self.ask('POST', f'{_SCRIPT}/instances/{name}/executions')
        return name

    def forget_instance(self, name: str) -> None:
        """Delete an instance, whose triggers would fire for ever."""
        self.ask('DELETE', f'{_SCRIPT}/instances/{name}')

    def any_event(self) -> str:
        """Return the number of something that happened."""
        _, events = self.ask('GET', '/events?limit=1')
        return str(events['items'][0]['href']).rpartition('/')[2]

    def uploaded(self) -> str:
        """Return a script that may be deleted."""
        line = '--line'
        form = (
            f'{line}\r\nContent-Disposition: form-data; name="file"; filename="check.sh"\r\n\r\n'
            f'true\r\n{line}--\r\n'
        )
        request = urllib.request.Request(
            f'{self._url}/{ENTITY}/scripts',
            data=form.encode(),
            headers={
                'Content-Type': f'multipart/form-data; boundary={line[2:]}',
                **self._headers,
            },
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(json.load(response)['id'])

    def beside(self) -> dict[str, str]:
        """Return names of what is on the other entity."""
        path = f'/apps/{BESIDE["entity_id"]}/scripts/{BESIDE["script_id"]}/executions'
        if self._beside is None or not self._has(f'{path}/{self._beside}'):
            _, execution = self.ask('POST', path, {'execution_type': 'now'}, Prefer='wait=30')
            self._beside = str(execution['id'])
        return {**BESIDE, 'execution_id': self._beside}

    def _stop_all(self) -> None:
        self.ask(
            'POST', '/executions/actions', {'action': 'stop', 'filter': {'status': 'running'}}
        )

    def _start(self, *, wait: str = '', **given: Any) -> str:
        body = {'execution_type': 'now', **given}
        headers = {'Prefer': wait} if wait else {}
        status, answer = self.ask('POST', f'{_SCRIPT}/executions', body, **headers)
        assert status in (200, 202), answer
        return str(answer['id'])

    def _has(self, path: str) -> bool:
        return self.ask('GET', path)[0] == 200


_attacked = Attacked()
_counts: dict[str, Counter[int]] = defaultdict(Counter)
_faults: list[str] = []
_turns: Counter[str] = Counter()
_is_narrowed = NARROWED in os.environ

_EXECUTIONS: Mapping[str, Callable[[], str]] = {
    'delete_execution': _attacked.ended,
    'stop_execution': _attacked.running,
    'set_priority': _attacked.waiting,
}
"""By the operation, where not any will do."""
_INSTANCES: Mapping[str, Callable[[], str]] = {
    'act_on_instance': _attacked.running_instance,
    'start_instance': _attacked.idle_instance,
    'delete_instance': _attacked.idle_instance,
}
_AFTERWARDS: Mapping[str, Callable[[], None]] = {
    'set_line': _attacked.resume,
    'set_entity_line': _attacked.resume,
    'set_priority': _attacked.resume,
    'acquire_lock': _attacked.unlock,
    'show_lock': _attacked.unlock,
    'extend_lock': _attacked.unlock,
    'release_lock': _attacked.unlock,
}


@schemathesis.hook
def filter_query(context: HookContext, query: Any) -> bool:
    """Leave out what the HTTP parser refuses."""
    return len(urllib.parse.urlencode(query or {}, doseq=True)) < _LONGEST_TARGET


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Put what is there in place of what a path pretends to name."""
    operation, names = _name_of(case), case.path_parameters
    _turns[case.operation.label] += 1
    if _is_narrowed and _turns[case.operation.label] % 2 == 0:
        _ask_beside(names)
    wanted = [name for name, value in PRETENDED.items() if str(names.get(name)) == value]
    if 'execution_id' in wanted:
        find = _EXECUTIONS.get(operation, lambda: _attacked.two_ended()[0])
        names['execution_id'] = find()
    if 'instance' in wanted:
        names['instance'] = _INSTANCES.get(operation, _attacked.an_instance)()
    if 'sequence' in wanted:
        names['sequence'] = _attacked.any_event()
    if 'lock_id' in wanted:
        names['lock_id'] = _attacked.lock(case.headers.setdefault('X-Client-Id', HOLDER))
    if operation in ('replace_script', 'delete_script') and 'script_id' in wanted:
        names['script_id'] = _attacked.uploaded()
    if operation == 'acquire_lock':
        case.headers.setdefault('X-Client-Id', HOLDER)
    if operation == 'start_group' and isinstance(case.body, dict) and _is_right(case):
        case.body |= {'script': PRETENDED['script_id'], 'entities': [ENTITY]}
    other = (case.query or {}).get('with')
    if isinstance(other, str) and re.fullmatch('exec_[0-9A-HJKMNP-TV-Z]{26}', other):
        case.query['with'] = _attacked.two_ended()[1]


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Count the answer."""
    # With other methods nothing is looked up.
    if case.method.upper() == case.operation.method.upper():
        _counts[case.operation.label][response.status_code] += 1
        if _is_narrowed:
            _look_for_what_is_beside(case, response)
    operation = _name_of(case)
    _AFTERWARDS.get(operation, lambda: None)()
    if operation == 'create_instance' and response.status_code == 201:
        _attacked.forget_instance(response.json()['name'])


def _is_right(case: Case[Any]) -> bool:
    """Tell whether a request is made to be taken."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def _ask_beside(names: dict[str, Any]) -> None:
    """Have a path name what is on the other entity."""
    beside = _attacked.beside()
    for name in names:
        if name in beside and names[name] in (PRETENDED.get(name), ENTITY.partition('/')[2]):
            names[name] = beside[name]


def _look_for_what_is_beside(case: Case[Any], response: Response) -> None:
    """Note where somebody is told of the other entity, beyond what they named themselves."""
    asked = {str(name) for name in case.path_parameters.values()}
    text = response.content.decode(errors='replace')
    for name in asked:
        text = text.replace(name, '')
    reached = response.status_code < 300 and asked & {*_attacked.beside().values()}
    if MARK in text or reached:
        _faults.append(
            f'{case.method} {response.request.url}: {response.status_code} {text[:400]}'
        )


def _name_of(case: Case[Any]) -> str:
    return str(case.operation.definition.raw.get('operationId', '')).partition(_BY_ID)[0]


@atexit.register
def _tell() -> None:
    """Leave what was counted."""
    Path(os.environ[COUNTS]).write_text(json.dumps({'counts': _counts, 'faults': _faults}))
