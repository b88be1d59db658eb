# SPDX-License-Identifier: Apache-2.0
"""A gateway, as a program uses it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import threading
import time
from types import TracebackType
from typing import Any, Unpack
from urllib.parse import urlsplit

from gateway_node.client.errors import (
    Conflict,
    GatewayError,
    NotFound,
    StillOpen,
)
from gateway_node.client.json_exchange import check, get, read, understood, with_json, with_key
from gateway_node.client.queries import by_parameters, target, Wanted
from gateway_node.client.reattaching import Reattaching
from gateway_node.client.transport import Request, Transport
from gateway_node.client.upload_form import upload_form
from gateway_node.client.values import Entity, Event, Execution, Line, Script, StartOptions

_STOPS_AT_ONCE = 8
"""A stop is answered after up to a second."""
_SCRIPTS_A_PAGE = 100
_SHORTEST_PAUSE_SEC = 0.02
_LONGEST_PAUSE_SEC = 1.0
_GROWTH = 1.2
"""Of the pauses between questions for an end: it is heard of late by a fifth of what it took."""


class Gateway:
    """A gateway at a URL.

    All of it may be called from several threads, and from processes that are forked. Proxies that
    the environment names are not used.

    `timeout_sec` is how long the gateway may be silent before AnswerLate. `patience_sec` is how
    long one that was there may be away, as while it is started anew: so long an answer that was
    lost is asked for again, which does nothing twice, and an execution is waited for and followed.

    Everything raises a GatewayError where it fails: see `gateway_node.client.errors`.
    """

    def __init__(self, url: str, *, timeout_sec: float = 30.0, patience_sec: float = 60.0) -> None:
        """Take a URL such as `http://robot:8080`, with or without `/api/v1`; nothing is sent.

        Raises:
            ValueError: it is none of http or https, or has a user or a query.
        """
        self._transport = Transport(url, timeout_sec=timeout_sec, patience_sec=patience_sec)
        self._started: set[str] = set()
        """Ids of what this object started and has not seen ended."""
        self._lock = threading.Lock()

    def __enter__(self) -> 'Gateway':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept. What was started goes on: see `stop_all`."""
        self._transport.close()

    @property
    def url(self) -> str:
        """The base of the API."""
        return self._transport.url

    def entities(self) -> Sequence[Entity]:
        """List the apps and the components."""
        return [*self._entities('apps'), *self._entities('components')]

    def scripts(
        self,
        entity: str | None = None,
        *,
        name: str | None = None,
        tag: str | None = None,
        kind: str | None = None,
    ) -> Iterator[Script]:
        """Go through the scripts of an entity, or of all, or of a pattern such as `apps/*`."""
        page: int | None = 1
        while page is not None:
            paging = {'page': page, 'per_page': _SCRIPTS_A_PAGE}
            where = target('scripts', entity=entity, name=name, tag=tag, kind=kind, **paging)
            body = self._body(get(where))
            with understood(where):
                found = [Script.of(each['entity'], each) for each in body['items']]
                page = page + 1 if page < body['pagination']['total_pages'] else None
            yield from found

    def upload(
        self,
        entity: str,
        script: Path | str | bytes,
        *,
        file_name: str | None = None,
        idempotency_key: str | None = None,
        **metadata: Any,
    ) -> Script:
        """Upload a script: a file, or its content as bytes with a `file_name`.

        `metadata` are those of docs/writing_scripts.md: `name`, `timeout_sec` and so on; the key
        is that of `start`.

        Raises:
            OSError: the file cannot be read.
            ValueError: bytes come without a name.
        """
        if isinstance(script, bytes):
            content = script
        else:
            content, file_name = Path(script).read_bytes(), file_name or Path(script).name
        if file_name is None:
            raise ValueError('the content of a script needs a file_name')
        body, headers = upload_form(content, file_name, metadata)
        where = target(*entity.split('/'), 'scripts')
        headers = {**headers, **with_key(idempotency_key)}
        made = self._body(Request(method='POST', target=where, content=body, headers=headers))
        with understood(where):
            where = target(*entity.split('/'), 'scripts', made['id'])
        detail = self._body(get(where))
        with understood(where):
            return Script.of(entity, detail)

    def delete_script(self, script: Script) -> None:
        """Delete a script; its executions stay."""
        self._delete(target(*script.entity.split('/'), 'scripts', script.id))

    def start(
        self,
        entity: str,
        script: Script | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        execution_type: str = 'now',
        idempotency_key: str | None = None,
        **options: Unpack[StartOptions],
    ) -> Execution:
        """Start a script of an entity, by its id; return the execution as it was accepted.

        Who gives an `idempotency_key`, and the same one again later, has started it once.
        """
        script_id = script.id if isinstance(script, Script) else script
        where = target(*entity.split('/'), 'scripts', script_id, 'executions')
        asked = {'execution_type': execution_type, 'parameters': parameters, **options}
        execution = self._execution(with_json('POST', where, asked, with_key(idempotency_key)))
        with self._lock:
            self._started.add(execution.id)
        return execution

    def execution(self, execution: Execution | str) -> Execution:
        """Ask for an execution, with its output; by its id, or as it was answered before."""
        return self._seen(self._execution(get(_about(execution))))

    def executions(
        self, *, parameter: Mapping[str, Any] | None = None, **wanted: Wanted
    ) -> Iterator[Execution]:
        """Go through the executions that are wanted, newest first; pages are asked for as needed.

        The names are those of docs/api.md, "Finding executions": `status`, `entity`, `script`,
        `created_after` and so on, several values as a list; `parameter` are input parameters.
        """
        asked = target('executions', **wanted, **by_parameters(parameter or {}))
        while asked:
            body = self._body(get(asked))
            with understood(asked):
                page = [Execution.of(each) for each in body['items']]
                # Its path may be one that a proxy in front does not know.
                following = urlsplit(body['next']).query if 'next' in body else ''
            yield from page
            asked = f'/executions?{following}' if following else ''

    def wait(self, execution: Execution | str, timeout_sec: float | None = None) -> Execution:
        """Wait until an execution has ended; return it with its output.

        Raises:
            StillOpen: it has not within `timeout_sec`; it goes on.
        """
        end = None if timeout_sec is None else time.monotonic() + timeout_sec
        pause = _SHORTEST_PAUSE_SEC
        while not (seen := self._pursued(execution)).has_ended:
            left = pause if end is None else end - time.monotonic()
            if timeout_sec is not None and left <= 0:
                raise StillOpen(seen.id, timeout_sec)
            time.sleep(min(pause, left))
            pause = min(_GROWTH * pause, _LONGEST_PAUSE_SEC)
        return seen

    def follow(self, execution: Execution | str) -> Iterator[Event]:
        """Go through what an execution does, from its begin to its end, as it happens.

        What is there already comes first. The last event is the execution as it ended. Each line
        comes once, whatever becomes of connections meanwhile.
        """
        for event in Reattaching(self._transport, _id(execution)).events():
            yield self._seen(event) if isinstance(event, Execution) else event

    def lines(self, execution: Execution | str) -> Iterator[Line]:
        """Go through the lines that an execution writes, from the first that is kept on."""
        return (each for each in self.follow(execution) if isinstance(each, Line))

    def stop(self, execution: Execution | str, *, forced: bool = False) -> Execution:
        """Stop an execution, or kill it; return it as it stands a second later at most.

        Raises:
            Conflict: it has ended.
        """
        action = 'forced_termination' if forced else 'stop'
        request = with_json('PUT', _about(execution), {'action': action})
        answer = self._transport.exchange(request)
        try:
            return self._seen(read(answer, request, Execution.of))
        except Conflict:
            if not answer.repeated:
                raise
            return self.execution(execution)

    def stop_all(self, *, forced: bool = False) -> Sequence[Execution]:
        """Stop what this object started and what is still open; return that.

        Where one cannot be stopped, the others are all the same, and then the error is raised.
        """
        with self._lock:
            started = sorted(self._started)

        def stopped(execution_id: str) -> Execution | GatewayError | None:
            try:
                return self.stop(execution_id, forced=forced)
            except (Conflict, NotFound):
                return None
            except GatewayError as error:
                return error

        with ThreadPoolExecutor(_STOPS_AT_ONCE) as pool:
            results = list(pool.map(stopped, started))
        for result in results:
            if isinstance(result, GatewayError):
                raise result
        with self._lock:
            self._started.difference_update(started)
        return [each for each in results if isinstance(each, Execution)]

    def delete(self, execution: Execution | str) -> None:
        """Delete an ended execution, or a schedule, with its output."""
        self._delete(_about(execution))

    def _seen(self, execution: Execution) -> Execution:
        if execution.has_ended:
            with self._lock:
                self._started.discard(execution.id)
        return execution

    def _delete(self, where: str) -> None:
        request = Request(method='DELETE', target=where)
        answer = self._transport.exchange(request)
        try:
            check(answer, request)
        except NotFound:
            if not answer.repeated:
                raise

    def _entities(self, collection: str) -> list[Entity]:
        request = get(target(collection))
        return read(
            self._transport.exchange(request),
            request,
            lambda body: [Entity.of(collection, each) for each in body['items']],
        )

    def _execution(self, request: Request) -> Execution:
        return read(self._transport.exchange(request), request, Execution.of)

    def _pursued(self, execution: Execution | str) -> Execution:
        request = get(_about(execution))
        answer = self._transport.exchange(request, pursued=True)
        return self._seen(read(answer, request, Execution.of))

    def _body(self, request: Request) -> Mapping[str, Any]:
        return read(self._transport.exchange(request), request, dict)


def _id(execution: Execution | str) -> str:
    return execution.id if isinstance(execution, Execution) else execution


def _about(execution: Execution | str) -> str:
    return target('executions', _id(execution))
