# SPDX-License-Identifier: Apache-2.0
"""The parameters of who may do what; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType
from gateway_node.ros.token_specifications import TOKEN_PARAMETERS

PROXIMITY_TOPIC = '~/proximity_code'
"""On which one-time codes are shown."""

ACCESS_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='auth.tokens_file',
        type=ParameterType.STRING,
        default='',
        form='a path; ~ is the home directory; empty for none',
        description='YAML file (mode 600) of the tokens that are let in, with name, role and '
        'SHA-256 of each; it is read anew when it changes. gateway_token makes tokens.',
    ),
    ParameterSpecification(
        name='auth.allow_anonymous_access',
        type=ParameterType.BOOLEAN,
        default=False,
        description='Whether everybody who reaches the gateway may do everything, while no '
        'credentials are configured; otherwise only who is on its host.',
    ),
    ParameterSpecification(
        name='auth.open_probes',
        type=ParameterType.BOOLEAN,
        default=True,
        description='Whether /health/live, the page at /docs without what it shows and, without '
        'the version of the software, /version-info are answered to who shows no credential, too.',
    ),
    *TOKEN_PARAMETERS,
    ParameterSpecification(
        name='locks.max_expiration_sec',
        type=ParameterType.INTEGER,
        default=3600,
        unit='s',
        minimum=1,
        maximum=86400,
        description='How long a lock on an entity may hold before it has to be extended.',
    ),
    ParameterSpecification(
        name='locks.breakable',
        type=ParameterType.BOOLEAN,
        default=True,
        description='Whether an admin may break the locks of others; otherwise they hold until '
        'they end or are given back.',
    ),
    ParameterSpecification(
        name='rate_limit.requests_per_sec',
        type=ParameterType.NUMBER,
        default=100.0,
        unit='requests/s',
        minimum=0,
        maximum=100000,
        description='Most requests a second that are answered on average to one identity, and to '
        'one address of clients without one; 0 for any number, as to clients on this host.',
    ),
    ParameterSpecification(
        name='rate_limit.burst',
        type=ParameterType.INTEGER,
        default=200,
        unit='requests',
        minimum=1,
        maximum=100000,
        description='Most requests of one of these that are answered at once.',
    ),
    ParameterSpecification(
        name='proximity.command',
        type=ParameterType.STRING_ARRAY,
        default=(),
        form="a program and its arguments; [''] for none",
        description='Command that shows a one-time code to who stands beside the robot; it gets '
        'the code as JSON on stdin, and has 10 s.',
    ),
    ParameterSpecification(
        name='proximity.topic',
        type=ParameterType.BOOLEAN,
        default=False,
        description=f'Whether one-time codes are published on {PROXIMITY_TOPIC}; only where '
        'discovery is limited to this host.',
    ),
    ParameterSpecification(
        name='proximity.verifier',
        type=ParameterType.STRING,
        default='',
        form='package.module:factory, or empty for one-time codes',
        pattern=r'([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)?',
        description="What makes a verifier of the site's own, in place of one-time codes.",
    ),
    ParameterSpecification(
        name='proximity.code_digits',
        type=ParameterType.INTEGER,
        default=6,
        unit='digits',
        minimum=4,
        maximum=12,
        description='Digits of a one-time code.',
    ),
    ParameterSpecification(
        name='proximity.valid_sec',
        type=ParameterType.NUMBER,
        default=120.0,
        unit='s',
        minimum=10,
        maximum=3600,
        description='How long a one-time code is valid.',
    ),
    ParameterSpecification(
        name='proximity.max_failures',
        type=ParameterType.INTEGER,
        default=5,
        minimum=1,
        maximum=100,
        description='Refused proofs of proximity of one client after which none is taken from it '
        'for a minute, then for twice as long, up to an hour.',
    ),
    ParameterSpecification(
        name='audit.enabled',
        type=ParameterType.BOOLEAN,
        default=True,
        description='Whether each request that changes something, or is refused, is noted in '
        'audit/ of the state directory.',
    ),
    ParameterSpecification(
        name='audit.required',
        type=ParameterType.BOOLEAN,
        default=False,
        description='Whether a change is refused that cannot be noted on the disk before it is '
        'made; needs audit.enabled.',
    ),
    ParameterSpecification(
        name='audit.max_file_mb',
        type=ParameterType.NUMBER,
        default=10.0,
        unit='MiB',
        minimum=0.1,
        maximum=100,
        description='Size at which the audit goes on in a new file.',
    ),
    ParameterSpecification(
        name='audit.max_files',
        type=ParameterType.INTEGER,
        default=10,
        minimum=2,
        maximum=1000,
        description='Files of the audit that are kept, the present one included; the oldest goes '
        'first.',
    ),
)
