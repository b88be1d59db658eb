# SPDX-License-Identifier: Apache-2.0
"""What it costs to look at credentials, against the same gateway with access off."""

from collections.abc import Iterator, Mapping
import contextlib
import functools
import hashlib
import json
from pathlib import Path
import time

from gateway_process import BASE, gateway, GatewayProcess
from jwts import AUDIENCE, ISSUER, key_set, token

from bench import peers
from bench.figures import at_least, at_most, interleaved, Line, ratio, Series, surplus
from bench.gateways import NO_LIMITS, write_manifest
from bench.load import Clients, Request, request

ROUNDS = 6
STATUSES_A_ROUND = 3000
STATUS_CLIENTS = 32
STATUS_GOAL = 0.75
"""A JSON Web Token is 500 bytes that each request brings along: most of it is reading these."""
STARTS = 40
START_GOAL_MS = 0.3
_TOKEN = 'a token of the benchmark'
_LASTS_SEC = 3600

Headers = Mapping[str, str]


def access_cost(folder: Path) -> Iterator[Line]:
    """Status and start, with a token of the file, with a JSON Web Token, and with access off."""
    script = folder / 'true.sh'
    script.write_text('true\n')
    parameters = {**NO_LIMITS, 'scripts.manifest': write_manifest(folder, {'true': str(script)})}
    with contextlib.ExitStack() as afterwards:
        off, on = (
            afterwards.enter_context(
                gateway(folder / name, {**parameters, **given}, parent=peers.ON_SERVERS_CORES)
            )
            for name, given in (('off', {}), ('on', _access(folder)))
        )
        afterwards.enter_context(peers.clients_core())
        asked: list[tuple[str, GatewayProcess, Headers]] = [
            ('a token of the file', on, _bearer(_TOKEN)),
            ('a JSON Web Token, RS256', on, _bearer(_signed())),
            ('access off', off, {}),
        ]
        *with_access, without = _statuses(asked)
        for (name, _, _), rates in zip(asked, with_access, strict=False):
            share = ratio(rates, without)
            yield Line(
                figure=f'status, {STATUS_CLIENTS} clients: {name}',
                series=rates,
                ratio=share,
                goal=at_least(STATUS_GOAL, share, 'of access off'),
            )
        yield Line(figure=f'status, {STATUS_CLIENTS} clients: access off', series=without)
        *with_access, without = _starts(asked)
        for (name, _, _), times in zip(asked, with_access, strict=False):
            yield Line(
                figure=f'POST to 202: {name}',
                series=times,
                ratio=ratio(times, without),
                goal=at_most(START_GOAL_MS, surplus(times, without), 'more than off', 'ms'),
            )
        yield Line(figure='POST to 202: access off', series=without)


def _access(folder: Path) -> dict[str, object]:
    digest = hashlib.sha256(_TOKEN.encode()).hexdigest()
    entry = {'name': 'anna', 'role': 'operator', 'sha256': digest}
    return {
        'auth.tokens_file': _private(folder / 'tokens', json.dumps({'tokens': [entry]}).encode()),
        'auth.jwt.keys_file': _private(folder / 'keys', key_set('RS256')),
        'auth.jwt.issuer': ISSUER,
        'auth.jwt.audience': AUDIENCE,
    }


def _private(path: Path, content: bytes) -> str:
    path.touch(0o600)
    path.write_bytes(content)
    return str(path)


def _signed() -> str:
    now = int(time.time())
    claims = {
        'iss': ISSUER,
        'aud': AUDIENCE,
        'sub': 'bert',
        'role': 'operator',
        'exp': now + _LASTS_SEC,
    }
    return token(claims, algorithm='RS256')


def _bearer(shown: str) -> Headers:
    return {'Authorization': f'Bearer {shown}'}


def _statuses(asked: list[tuple[str, GatewayProcess, Headers]]) -> list[Series]:
    """Return the rates at which the status of an ended execution is answered."""
    requests = [_status(started, headers) for _, started, headers in asked]
    with contextlib.ExitStack() as afterwards:
        measured = interleaved(
            ROUNDS,
            *(
                functools.partial(
                    afterwards.enter_context(
                        contextlib.closing(Clients([each], STATUS_CLIENTS))
                    ).rate,
                    STATUSES_A_ROUND,
                )
                for each in requests
            ),
        )
    return [Series(values=each.values, unit='/s') for each in measured]


def _starts(asked: list[tuple[str, GatewayProcess, Headers]]) -> list[Series]:
    """Return the milliseconds from a start to its 202."""
    with contextlib.ExitStack() as afterwards:
        return interleaved(
            STARTS,
            *(
                afterwards.enter_context(
                    contextlib.closing(Clients([_start(started, headers)], 1))
                ).ms_each
                for _, started, headers in asked
            ),
        )


def _status(started: GatewayProcess, headers: Headers) -> Request:
    """Have an execution end; return the request for its status."""
    ended = started.request(
        'POST',
        _executions(started, headers),
        json_body={'execution_type': 'now'},
        headers={**headers, 'Prefer': 'wait=30'},
    )
    return request(started.port, 'GET', ended.body['href'], headers=headers)


def _start(started: GatewayProcess, headers: Headers) -> Request:
    return request(
        started.port,
        'POST',
        f'{BASE}{_executions(started, headers)}',
        {'execution_type': 'now'},
        headers=headers,
        expected=' 202 ',
    )


def _executions(started: GatewayProcess, headers: Headers) -> str:
    host = started.request('GET', '/components', headers=headers).body['items'][0]['id']
    return f'/components/{host}/scripts/true/executions'
