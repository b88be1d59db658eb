# SPDX-License-Identifier: Apache-2.0
"""Who asks a guarded gateway for something, and what they were answered."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
import http.client
from pathlib import Path
import secrets
import ssl
import subprocess
import threading
from typing import Any

from gateway_process import Answer, GatewayProcess
from waiting import DEADLINE_SEC

from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import EVERYTHING, Scope


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who has a credential, and what it is good for."""

    name: str
    role: Role
    scope: Scope = EVERYTHING


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that would change something, and the status of its answer."""

    tag: str
    """Its `X-Client-Id`, which no other request has, or what it made."""
    method: str
    path: str
    status: int


@dataclass(kw_only=True)
class Heard:
    """What all of them were answered; several threads add to it."""

    file: Path
    """Bodies and headers, one behind the other."""
    changes: list[Asked] = field(default_factory=list)
    """Requests that were answered 2xx."""
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What nobody should be answered."""
    turn: threading.Lock = field(default_factory=threading.Lock)


class Guest(GatewayProcess):
    """A gateway as somebody sees it who shows a credential, or none, over TLS."""

    def __init__(
        self,
        process: 'subprocess.Popen[bytes]',
        log: Path,
        *,
        port: int,
        trust: ssl.SSLContext,
        heard: Heard,
        token: str | None,
        address: str = '127.0.0.1',
    ) -> None:
        super().__init__(process, log, f'https://127.0.0.1:{port}/api/v1')
        self._trust = trust
        self._heard = heard
        self._token = token
        self._address = address

    def connection(self) -> http.client.HTTPConnection:
        """Return one that speaks TLS."""
        return http.client.HTTPSConnection(
            self.host,
            self.port,
            timeout=DEADLINE_SEC,
            context=self._trust,
            source_address=(self._address, 0),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request that is told apart from all others, unless its `headers` say who it is;
        keep what is answered."""
        sent = {'X-Client-Id': secrets.token_hex(8), **(headers or {})}
        if self._token is not None:
            sent['Authorization'] = f'Bearer {self._token}'
        answer = super().request(method, path, json_body=json_body, content=content, headers=sent)
        self._keep(sent['X-Client-Id'], method, path, answer)
        return answer

    def lock(self, entity: str, body: dict[str, Any]) -> Answer:
        """Lock an entity for whatever this person uses."""
        sent = {} if self._token is None else {'Authorization': f'Bearer {self._token}'}
        path = f'/{entity}/locks'
        answer = super().request('POST', path, json_body=body, headers=sent)
        tag = str(answer.body['id']) if answer.status == 201 else ''
        self._keep(tag, 'POST', path, answer)
        return answer

    def _keep(self, tag: str, method: str, path: str, answer: Answer) -> None:
        heard = self._heard
        with heard.turn:
            heard.statuses[answer.status] += 1
            if answer.status >= 500 and answer.status != 503:
                heard.faults.append(f'{method} {path}: {answer}')
            if method != 'GET' and 200 <= answer.status < 300:
                heard.changes.append(
                    Asked(tag=tag, method=method, path=path, status=answer.status)
                )
            # What /auth answers are credentials.
            if not path.startswith('/auth/'):
                with heard.file.open('ab') as file:
                    file.write(repr(answer.headers).encode() + b'\n' + answer.content + b'\n')
