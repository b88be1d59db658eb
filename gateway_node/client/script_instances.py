# SPDX-License-Identifier: Apache-2.0
"""The instances of one script."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway_node.client.errors import Conflict
from gateway_node.client.json_exchange import Api, get, with_json, with_key
from gateway_node.client.queries import target
from gateway_node.client.transport import Request
from gateway_node.client.values import Execution, Instance

Document = Mapping[str, Any]
"""What an instance is, as docs/api.md has it under "Instances", without its name."""


class ScriptInstances:
    """What may be done with them; made by `Gateway.instances`."""

    def __init__(
        self, api: Api, begin: Callable[[Request], Execution], entity: str, script_id: str
    ) -> None:
        self._api = api
        self._begin = begin
        self._path = (*entity.split('/'), 'scripts', script_id, 'instances')

    def all(self) -> Sequence[Instance]:
        """List them, by name."""
        where = target(*self._path)
        return self._api.read(
            get(where), lambda body: [Instance.of(each) for each in body['items']]
        )

    def get(self, name: str) -> Instance:
        """Ask for one, with what its conditions are now."""
        return self._api.read(get(self._about(name)), Instance.of)

    def create(
        self, name: str, document: Document, *, idempotency_key: str | None = None
    ) -> Instance:
        """Make one.

        Raises:
            Conflict: there is one of that name.
            InvalidRequest: with all that is wrong, in `parameters`.
        """
        asked = {**document, 'name': name}
        request = with_json('POST', target(*self._path), asked, with_key(idempotency_key))
        return self._api.read(request, Instance.of)

    def replace(self, name: str, document: Document) -> Instance:
        """Make one another; raises as `create` does, and Conflict where it is managed."""
        return self._api.read(with_json('PUT', self._about(name), document), Instance.of)

    def delete(self, name: str) -> None:
        """Delete one; its executions stay.

        Raises:
            Conflict: it is managed, or its execution is open.
        """
        self._api.delete(self._about(name))

    def start(
        self,
        name: str,
        *,
        confirmed: bool | str | None = None,
        proximity_response: str | None = None,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Start one by hand, enabled or not.

        Raises:
            Conflict: its execution is open.
        """
        asked = {'confirmed': confirmed, 'proximity_response': proximity_response}
        where = self._about(name, 'executions')
        return self._begin(with_json('POST', where, asked, with_key(idempotency_key)))

    def stop(self, name: str) -> Instance:
        """Stop the execution of one.

        Raises:
            Conflict: none is open.
        """
        request = with_json('POST', self._about(name, 'actions'), {'action': 'stop'})
        stopped = self._api.change(request, Instance.of, Conflict)
        return self.get(name) if stopped is None else stopped

    def enable(self, name: str, *, enabled: bool = True) -> Instance:
        """Have the triggers of one fire, or, with `enabled=False`, fire no more."""
        asked = {'action': 'enable' if enabled else 'disable'}
        return self._api.read(with_json('POST', self._about(name, 'actions'), asked), Instance.of)

    def _about(self, name: str, *below: str) -> str:
        return target(*self._path, name, *below)
