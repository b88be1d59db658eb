# SPDX-License-Identifier: Apache-2.0
"""The parameters of the way to the server; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType

_PATH = 'a path; ~ is the home directory; empty for none'

TRANSPORT_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='server.tls.certificate_file',
        type=ParameterType.STRING,
        default='',
        form=_PATH,
        description='File with the certificate of the server, those between it and its authority '
        'behind it (PEM); with it TLS is spoken, and nothing else. It is read anew when it '
        'changes.',
    ),
    ParameterSpecification(
        name='server.tls.key_file',
        type=ParameterType.STRING,
        default='',
        form=_PATH,
        description='File with the key of that certificate (PEM, without a passphrase, mode 600).',
    ),
    ParameterSpecification(
        name='server.tls.client_ca_file',
        type=ParameterType.STRING,
        default='',
        form=_PATH,
        description='File with the authorities (PEM) of which a client must show a certificate '
        'to be heard at all; who it is, its credential says.',
    ),
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
