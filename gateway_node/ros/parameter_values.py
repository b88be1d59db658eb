# SPDX-License-Identifier: Apache-2.0
"""Values of parameters as JSON values."""

from typing import Any

from rclpy.parameter import parameter_value_to_python

from gateway_node.ros.message_fields import as_json, ValueMissing


def parameter_json(value: Any, what: str) -> Any:
    """Return a `rcl_interfaces/msg/ParameterValue` as a JSON value, None where it is not set;
    `what` names it.

    ValueMissing where it is too much, or of a type that nobody knows.
    """
    try:
        given = parameter_value_to_python(value)
    except RuntimeError as error:
        raise ValueMissing(f'{what} cannot be read: {error}') from error
    return None if given is None else as_json(given, what)
