# SPDX-License-Identifier: Apache-2.0
"""The parameters of tokens that are for a while; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType

_CLAIM = 'the name of a claim, with dots between those of objects, such as realm_access.roles'
_CLAIMS = r'[!-~]+'
_DAY_SEC = 86400

TOKEN_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='auth.token_expiry_sec',
        type=ParameterType.NUMBER,
        default=3600.0,
        unit='s',
        minimum=60,
        maximum=31 * _DAY_SEC,
        description='How long an access token lasts that a client gets at /auth.',
    ),
    ParameterSpecification(
        name='auth.refresh_token_expiry_sec',
        type=ParameterType.NUMBER,
        default=86400.0,
        unit='s',
        minimum=60,
        maximum=366 * _DAY_SEC,
        description='How long a refresh token of /auth can be exchanged for the next ones.',
    ),
    ParameterSpecification(
        name='auth.jwt.keys_file',
        type=ParameterType.STRING,
        default='',
        form='a path; ~ is the home directory; empty for none',
        description='File with the keys that JSON Web Tokens are checked with: a key set (JSON; '
        'mode 600 where a key is a secret), or one public key (PEM); it is read anew when it '
        'changes.',
    ),
    ParameterSpecification(
        name='auth.jwt.issuer',
        type=ParameterType.STRING,
        default='',
        form='a text; not empty where auth.jwt.keys_file is set',
        description='What the claim iss of a JSON Web Token must be.',
    ),
    ParameterSpecification(
        name='auth.jwt.audience',
        type=ParameterType.STRING,
        default='',
        form='a text; not empty where auth.jwt.keys_file is set',
        description='What the claim aud of a JSON Web Token must be, or have among others; a '
        'name of this robot alone.',
    ),
    ParameterSpecification(
        name='auth.jwt.leeway_sec',
        type=ParameterType.NUMBER,
        default=30.0,
        unit='s',
        minimum=0,
        maximum=300,
        description='How far the clocks of the issuer and of the robot may be apart: so much '
        'earlier and later a JSON Web Token is taken.',
    ),
    ParameterSpecification(
        name='auth.jwt.name_claim',
        type=ParameterType.STRING,
        default='sub',
        form=_CLAIM,
        pattern=_CLAIMS,
        description='Claim that says who bears a JSON Web Token.',
    ),
    ParameterSpecification(
        name='auth.jwt.role_claim',
        type=ParameterType.STRING,
        default='role',
        form=_CLAIM,
        pattern=_CLAIMS,
        description='Claim that says the role: viewer, operator, configurator or admin; of an '
        'array, the highest of them.',
    ),
    *(
        ParameterSpecification(
            name=f'auth.jwt.{narrowed}_claim',
            type=ParameterType.STRING,
            default=narrowed,
            form=_CLAIM,
            pattern=_CLAIMS,
            description=f'Claim with globs of {meaning} to which a JSON Web Token is narrowed; '
            'one without the claim is not.',
        )
        for narrowed, meaning in (
            ('entities', 'paths of entities, such as apps/arm_*,'),
            ('scripts', 'ids or names of scripts'),
            ('tags', 'tags of scripts'),
        )
    ),
)
