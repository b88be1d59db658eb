# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters on a node, with descriptors, and reads what the user gave."""

from collections.abc import Mapping
import os

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from gateway_node.ros.configuration import Configuration
from gateway_node.ros.configuration_reading import checked_values, configuration_from
from gateway_node.ros.errors import ParameterInvalid, ParameterUnknown
from gateway_node.ros.parameter_specification import (
    ParameterSpecification,
    ParameterType,
    ParameterValue,
)
from gateway_node.ros.specifications import PARAMETERS

_SIM_TIME = 'use_sim_time'
_OF_EVERY_NODE = (_SIM_TIME, 'start_type_description_service')
_OF_EVERY_NODE_PREFIX = 'qos_overrides.'


def declare_parameters(node: Node, decided: Mapping[str, object]) -> Configuration:
    """Declare every parameter on `node` and return the configuration that they make.

    The user's values are looked at before they are declared: rclpy refuses `:=2` for a double,
    and its messages do not say what is allowed. `node` was created with
    `automatically_declare_parameters_from_overrides`; where it was not, unknown parameters are
    not noticed. `decided` has the values of those that were given more than once.

    Raises:
        ParameterUnknown: the user gave a parameter that does not exist.
        ParameterInvalid: the user gave a value that is not allowed.
    """
    given = _given_values(node)
    given |= {name: value for name, value in decided.items() if name in given}
    if _SIM_TIME in decided:
        node.set_parameters([Parameter(_SIM_TIME, value=_boolean(_SIM_TIME, decided[_SIM_TIME]))])
    configuration = configuration_from(given, environ=os.environ)
    values = checked_values(given)
    values['state_dir'] = str(configuration.state_dir)
    values['scripts.scripts_dir'] = str(configuration.scripts.scripts_dir or '')
    for specification in PARAMETERS:
        node.undeclare_parameter(specification.name)
        node.declare_parameter(
            specification.name,
            _declarable(specification, values[specification.name]),
            _descriptor(specification),
            ignore_override=True,
        )
    return configuration


def _given_values(node: Node) -> dict[str, object]:
    """Return what the user gave, None for what was left out; every name is declared after."""
    known = [specification.name for specification in PARAMETERS]
    for name, parameter in node.get_parameters_by_prefix('').items():
        if name in _OF_EVERY_NODE:
            _boolean(name, parameter.value)
        if name not in (*known, *_OF_EVERY_NODE) and not name.startswith(_OF_EVERY_NODE_PREFIX):
            raise ParameterUnknown(name, known)
    for name in known:
        if not node.has_parameter(name):
            node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True))
    return {name: node.get_parameter(name).value for name in known}


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ParameterInvalid(name, value, 'true or false')
    return value


def _declarable(
    specification: ParameterSpecification, value: ParameterValue | None
) -> str | int | float | bool | list[str]:
    if specification.type is ParameterType.STRING_ARRAY:
        # rclpy takes [] for an array of bytes, so that `none` is [''].
        return [str(text) for text in value] or [''] if isinstance(value, tuple) else ['']
    if value is None or isinstance(value, tuple):
        raise TypeError(f'{specification.name} has no value of its type')
    return value


def _descriptor(specification: ParameterSpecification) -> ParameterDescriptor:
    unit = f' Unit: {specification.unit}.' if specification.unit else ''
    descriptor = ParameterDescriptor(
        description=f'{specification.description}{unit}',
        additional_constraints=f'Allowed: {specification.allowed}.',
        read_only=specification.read_only,
    )
    if specification.minimum is None or specification.maximum is None:
        return descriptor
    minimum = 0 if specification.zero_is_none else specification.minimum
    if specification.type is ParameterType.INTEGER:
        descriptor.integer_range = [
            IntegerRange(from_value=int(minimum), to_value=int(specification.maximum), step=1)
        ]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(minimum), to_value=float(specification.maximum), step=0.0
            )
        ]
    return descriptor
