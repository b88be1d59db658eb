# SPDX-License-Identifier: Apache-2.0
"""A gateway, as a program uses it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
import ssl
import time
from types import TracebackType
from typing import Any, TypeVar, Unpack

from gateway_node.client.downloading import download
from gateway_node.client.errors import Conflict, StillOpen
from gateway_node.client.json_exchange import Api, get, with_json, with_key
from gateway_node.client.listings import list_executions, list_scripts
from gateway_node.client.queries import by_parameters, target, Wanted
from gateway_node.client.reattaching import Reattaching
from gateway_node.client.script_instances import ScriptInstances
from gateway_node.client.shown_credentials import authorization
from gateway_node.client.stopping import Started
from gateway_node.client.transport import Request, Transport
from gateway_node.client.upload_form import upload_form
from gateway_node.client.values import (
    Artifact,
    Entity,
    Event,
    Execution,
    Line,
    Readiness,
    Script,
    StartOptions,
    WaitingLine,
)

_Read = TypeVar('_Read')

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

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: Path | str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout_sec: float = 30.0,
        patience_sec: float = 60.0,
    ) -> None:
        """Take a URL such as `http://robot:8080`, with or without `/api/v1`; nothing is sent.

        `token`, or the first line of `token_file`, is shown to it. In a script the gateway that
        executes it is shown, without either, what it gave the script for that. `ssl_context` has
        the authorities of a gateway with https, and the certificate that is shown to it; without,
        those of the system, and none.

        Raises:
            OSError: the file cannot be read.
            ValueError: the URL is none of http or https, or has a user or a query; the token is
                none; or there is an `ssl_context`, and the URL has http.
        """
        self._transport = Transport(
            url,
            timeout_sec=timeout_sec,
            patience_sec=patience_sec,
            headers=authorization(url, token, token_file),
            ssl_context=ssl_context,
        )
        self._api = Api(self._transport)
        self._started = Started()

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
        wanted = {'entity': entity, 'name': name, 'tag': tag, 'kind': kind}
        return list_scripts(self._api, wanted)

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
        body, headers = upload_form(script, file_name, metadata)
        where = target(*entity.split('/'), 'scripts')
        headers = {**headers, **with_key(idempotency_key)}
        request = Request(method='POST', target=where, content=body, headers=headers)
        script_id = self._api.read(request, lambda made: str(made['id']))
        return self._api.read(
            get(target(*entity.split('/'), 'scripts', script_id)),
            lambda detail: Script.of(entity, detail),
        )

    def delete_script(self, script: Script) -> None:
        """Delete a script; its executions stay."""
        self._api.delete(target(*script.entity.split('/'), 'scripts', script.id))

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
        return self._begin(with_json('POST', where, asked, with_key(idempotency_key)))

    def instances(self, entity: str, script: Script | str) -> ScriptInstances:
        """Return the instances of a script of an entity, by its id; nothing is sent."""
        script_id = script.id if isinstance(script, Script) else script
        return ScriptInstances(self._api, self._begin, entity, script_id)

    def readiness(
        self,
        entity: str,
        script: Script | str,
        *,
        execution_type: str = 'now',
        instance: str | None = None,
    ) -> Readiness:
        """Tell why a script, by its id, or an instance of it would not start now; nothing is
        started."""
        script_id = script.id if isinstance(script, Script) else script
        path = (*entity.split('/'), 'scripts', script_id, 'readiness')
        where = target(*path, execution_type=execution_type, instance=instance)
        return self._api.read(get(where), Readiness.of)

    def start_on(
        self,
        entities: str | Sequence[str],
        script: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_parallel: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[StartOptions],
    ) -> Execution:
        """Start a script, by its id or its name, on several entities, or on `apps/*`.

        What is returned is the parent of an execution for each; `executions(parent=…)` are those.
        """
        asked = {
            'script': script,
            'entities': entities if isinstance(entities, str) else list(entities),
            'parameters': parameters,
            'max_parallel': max_parallel,
            **options,
        }
        key = with_key(idempotency_key)
        return self._begin(with_json('POST', target('executions'), asked, key))

    def retry(
        self,
        execution: Execution | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[StartOptions],
    ) -> Execution:
        """Start again what has ended, in the version that its script has now.

        It is given what it was given then, unless other `parameters` or `arguments` are; return
        the new execution.
        """
        where = target('executions', _id(execution), 'retry')
        asked = {'parameters': parameters, **options}
        return self._begin(with_json('POST', where, asked, with_key(idempotency_key)))

    def execution(self, execution: Execution | str) -> Execution:
        """Ask for an execution, with its output; by its id, or as it was answered before."""
        return self._shown(execution, pursued=False)

    def executions(
        self, *, parameter: Mapping[str, Any] | None = None, **wanted: Wanted
    ) -> Iterator[Execution]:
        """Go through the executions that are wanted, newest first; pages are asked for as needed.

        The names are those of docs/api.md, "Finding executions": `status`, `entity`, `script`,
        `created_after` and so on, several values as a list; `parameter` are input parameters.
        """
        return list_executions(self._api, {**wanted, **by_parameters(parameter or {})})

    def wait(self, execution: Execution | str, timeout_sec: float | None = None) -> Execution:
        """Wait until an execution has ended; return it with its output.

        Raises:
            StillOpen: it has not within `timeout_sec`; it goes on.
        """
        end = None if timeout_sec is None else time.monotonic() + timeout_sec
        pause = _SHORTEST_PAUSE_SEC
        while not (seen := self._shown(execution, pursued=True)).has_ended:
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
            yield self._started.see(event) if isinstance(event, Execution) else event

    def lines(self, execution: Execution | str) -> Iterator[Line]:
        """Go through the lines that an execution writes, from the first that is kept on."""
        return (each for each in self.follow(execution) if isinstance(each, Line))

    def stop(
        self, execution: Execution | str, *, forced: bool = False, stop_children: bool = True
    ) -> Execution:
        """Stop an execution, or kill it; return it as it stands a second later at most.

        What its script started is stopped with it, unless that is not wanted.

        Raises:
            Conflict: it has ended.
        """
        asked = {
            'action': 'forced_termination' if forced else 'stop',
            'stop_children': None if stop_children else False,
        }
        request = with_json('PUT', _about(execution), asked)
        stopped = self._api.change(request, Execution.of, Conflict)
        return self.execution(execution) if stopped is None else self._started.see(stopped)

    def stop_all(self, *, forced: bool = False) -> Sequence[Execution]:
        """Stop what this object started and what is still open; return that.

        Where one cannot be stopped, the others are all the same, and then the error is raised.
        """
        return self._started.stop_all(lambda each: self.stop(each, forced=forced))

    def delete(self, execution: Execution | str) -> None:
        """Delete an ended execution, or a schedule, with its output and its artifacts."""
        self._api.delete(_about(execution))

    def artifacts(self, execution: Execution | str) -> Sequence[Artifact]:
        """List the files that a script left; none as long as it runs."""
        where = target('executions', _id(execution), 'artifacts')
        return self._listed(where, Artifact.of)

    def download(self, execution: Execution | str, artifact: Artifact, to: Path | str) -> None:
        """Write an artifact to a file, which is there once it is whole.

        Raises:
            OSError: the file cannot be written.
        """
        where = target('executions', _id(execution), 'artifacts', *artifact.path.split('/'))
        download(self._transport, where, artifact, Path(to))

    def evidence(self, execution: Execution | str) -> Mapping[str, Any]:
        """Tell what was around an execution, as the gateway answers it.

        Raises:
            NotFound: nothing of it is kept.
        """
        return self._api.read(get(target('executions', _id(execution), 'evidence')), dict)

    def comparison(
        self, execution: Execution | str, other: Execution | str = 'last-pass'
    ) -> Mapping[str, Any]:
        """Tell in what an execution differs from another one, or from the last that passed before
        it, as the gateway answers it.

        Raises:
            NotFound: none passed.
        """
        with_other = {'with': _id(other)}
        where = target('executions', _id(execution), 'comparison', **with_other)
        return self._api.read(get(where), dict)

    def line(self, entity: str | None = None) -> WaitingLine:
        """Tell of the executions that wait for a place: of all, or of an entity's."""
        return self._api.read(get(_line(entity)), WaitingLine.of)

    def pause_line(self, entity: str | None = None, *, paused: bool = True) -> WaitingLine:
        """Let nobody in, or nobody of an entity, until this is called with `paused=False`."""
        request = with_json('PUT', _line(entity), {'paused': paused})
        return self._api.read(request, WaitingLine.of)

    def prioritise(self, execution: Execution | str, priority: int) -> Execution:
        """Give an execution that waits in line another priority, 0 to 100.

        Raises:
            Conflict: it does not wait.
        """
        request = with_json('PATCH', _about(execution), {'priority': priority})
        return self._api.read(request, Execution.of)

    def _begin(self, request: Request) -> Execution:
        return self._started.add(self._api.read(request, Execution.of))

    def _shown(self, execution: Execution | str, *, pursued: bool) -> Execution:
        shown = self._api.read(get(_about(execution)), Execution.of, pursued=pursued)
        return self._started.see(shown)

    def _entities(self, collection: str) -> Sequence[Entity]:
        return self._listed(target(collection), lambda each: Entity.of(collection, each))

    def _listed(self, where: str, reader: Callable[[Mapping[str, Any]], _Read]) -> Sequence[_Read]:
        return self._api.read(get(where), lambda body: [reader(each) for each in body['items']])


def _id(execution: Execution | str) -> str:
    return execution.id if isinstance(execution, Execution) else execution


def _about(execution: Execution | str) -> str:
    return target('executions', _id(execution))


def _line(entity: str | None) -> str:
    return target(*([] if entity is None else entity.split('/')), 'line')
