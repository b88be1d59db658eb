# SPDX-License-Identifier: Apache-2.0
"""Questions to a service of another node, which are asked again and again.

Belongs to the thread of the node that it is made on, and never waits.
"""

from collections.abc import Callable, Mapping
import time
from typing import Any

from rclpy.node import Node

from gateway_node.ros.message_types import interface_class, RETRY_SEC, TypeMissing

PATIENCE_SEC = 2.0
"""After which a service counts as one that does not answer."""
SOON_SEC, AGAIN_SEC = 1.0, 10.0
"""After which a question is asked again, the first time and then: what was told in between can
have been missed, above all before who tells it was found."""


class ServiceQuestions:
    """Some questions to one service."""

    def __init__(
        self,
        node: Node,
        service: str,
        type_name: str,
        on_answer: Callable[[str, Any], None],
    ) -> None:
        """Ask nothing yet; `on_answer` is called with a question's name and the response."""
        self._node = node
        self._service = service
        self._type_name = type_name
        self._on_answer = on_answer
        self._client: Any = None
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._open: dict[str, tuple[Any, float]] = {}
        """For each question that is not answered yet its future, and when it was asked."""
        self._due: dict[str, float] = {}
        self._load_at = 0.0
        self.fault = ''
        """Why there are no answers; empty where there are, or may be soon."""

    def want(self, requests: Mapping[str, Mapping[str, Any]]) -> None:
        """Ask these from now on, and no others: by name, the fields of the request."""
        for name in self._requests.keys() - requests.keys():
            self._forget(name)
        self._requests = dict(requests)

    def look(self, now: float) -> None:
        """Ask what is due; give up what was not answered."""
        if not self._is_offered(now):
            for name in list(self._open):
                self._forget(name)
            self._due.clear()
            return
        for name, (_, asked_at) in list(self._open.items()):
            if now - asked_at > PATIENCE_SEC:
                self.fault = f'{self._service} does not answer'
                self._forget(name)
                self._due[name] = now + PATIENCE_SEC
        for name in self._requests:
            if name not in self._open and now >= self._due.get(name, now):
                self._ask(name, now)

    def anew(self, name: str) -> None:
        """Ask a question again: what an answer on its way tells may be over."""
        self._forget(name)
        self._due.pop(name, None)

    def close(self) -> None:
        """Ask nothing any more."""
        self.want({})
        if self._client is not None:
            self._node.destroy_client(self._client)
            self._client = None

    def _is_offered(self, now: float) -> bool:
        if self._client is None:
            if now < self._load_at:
                return False
            try:
                service = interface_class(self._type_name)
            except TypeMissing as error:
                self.fault, self._load_at = str(error), now + RETRY_SEC
                return False
            self._client = self._node.create_client(service, self._service)
        if self._client.service_is_ready():
            return True
        self.fault = f'nobody offers {self._service}'
        return False

    def _ask(self, name: str, now: float) -> None:
        request = interface_class(self._type_name).Request(**self._requests[name])
        future = self._client.call_async(request)
        self._open[name] = (future, now)
        future.add_done_callback(lambda answered: self._answered(name, answered))

    def _answered(self, name: str, answered: Any) -> None:
        future, _ = self._open.get(name, (None, 0.0))
        if future is not answered:
            return  # given up
        del self._open[name]
        again_sec = AGAIN_SEC if name in self._due else SOON_SEC
        self._due[name] = time.monotonic() + again_sec
        self.fault = ''
        self._on_answer(name, answered.result())

    def _forget(self, name: str) -> None:
        future, _ = self._open.pop(name, (None, 0.0))
        if future is not None:
            self._client.remove_pending_request(future)
