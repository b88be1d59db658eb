# SPDX-License-Identifier: Apache-2.0
"""The parameters of triggers; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType

TRIGGER_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='triggers.max_instances',
        type=ParameterType.INTEGER,
        default=1000,
        unit='instances',
        minimum=0,
        maximum=10_000,
        description='Most instances of scripts that clients make; those of the scripts manifest '
        'do not count.',
    ),
    ParameterSpecification(
        name='triggers.max_rate_hz',
        type=ParameterType.NUMBER,
        default=20.0,
        unit='1/s',
        minimum=1,
        maximum=1000,
        description='How often a second at most a topic is looked at for the conditions of '
        'triggers, each time its newest message; conditions with "every" take each message.',
    ),
)
