# SPDX-License-Identifier: Apache-2.0
"""All parameters of a node, asked for once. Belongs to the thread of the node that asks."""

from collections.abc import Sequence
import math
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from gateway_node.evidence.errors import Unavailable
from gateway_node.ros.message_fields import ValueMissing
from gateway_node.ros.parameter_values import parameter_json

MAX_PARAMETERS = 2000


class ParameterLook:
    """A question for names, and then one for their values; it never waits."""

    def __init__(self, node: Node, target: str, give_up_at: float) -> None:
        """Ask for nothing yet; `target` is the node's fully qualified name.

        Unavailable where it offers no parameters.
        """
        self._node = node
        self._target = target
        self._give_up_at = give_up_at
        self._asked: Future[Any] | None = None
        self._names: Sequence[str] | None = None
        service = f'{target}/list_parameters'
        if all(name != service for name, _ in node.get_service_names_and_types()):
            raise Unavailable(f'{target} offers no parameters: nobody offers {service}')
        self._list: Client[Any, Any] = node.create_client(ListParameters, service)
        self._get: Client[Any, Any] = node.create_client(GetParameters, f'{target}/get_parameters')

    def answer(self, now: float) -> dict[str, Any] | None:
        """Return the values by name, as JSON values; None where they are not known yet.

        Called again and again until then. Unavailable where there will be no answer.
        """
        if now >= self._give_up_at:
            raise Unavailable(f'{self._target} does not answer when it is asked for parameters')
        if self._asked is None:
            self._ask()
        if self._asked is None or not self._asked.done():
            return None
        answered: Any = self._asked.result()
        if self._names is not None:
            return self._values(self._names, answered.values)
        self._names = answered.result.names
        if len(self._names) > MAX_PARAMETERS:
            raise Unavailable(
                f'{self._target} has {len(self._names)} parameters; allowed: {MAX_PARAMETERS}'
            )
        self._asked = None
        return None if self._names else {}

    def close(self) -> None:
        """Ask nothing any more."""
        for client in (self._list, self._get):
            self._node.destroy_client(client)

    def _ask(self) -> None:
        if self._names is None and self._list.service_is_ready():
            self._asked = self._list.call_async(ListParameters.Request())
        elif self._names is not None and self._get.service_is_ready():
            self._asked = self._get.call_async(GetParameters.Request(names=self._names))

    def _values(self, names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
        if len(values) != len(names):
            # rclcpp answers nothing where one of several is not declared any more.
            raise Unavailable(f'{self._target} changed its parameters while it was asked for them')
        return {name: _shown(value, name) for name, value in zip(names, values, strict=True)}


def _shown(value: Any, name: str) -> Any:
    try:
        return _finite(parameter_json(value, name))
    except ValueMissing as error:
        return {'unavailable': str(error)}


def _finite(value: Any) -> Any:
    """Return a value with texts for numbers that JSON has not."""
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
