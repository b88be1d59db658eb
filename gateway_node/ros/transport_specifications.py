# SPDX-License-Identifier: Apache-2.0
"""The parameters of the way to the server; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType

TRANSPORT_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='cors.allowed_origins',
        type=ParameterType.STRING_ARRAY,
        default=(),
        form='origins as browsers name them, such as https://fleet.example and '
        "http://10.0.0.7:3000; [''] for none",
        pattern=r'(https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)?',
        description='Pages of other origins that may use this gateway from a browser, with what '
        'credentials they have of their own; there is no * for all.',
    ),
)
