# SPDX-License-Identifier: Apache-2.0
"""How far the environment lets nodes be discovered; knows nothing of rclpy."""

from collections.abc import Mapping

_RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
_PEERS = 'ROS_STATIC_PEERS'
_LOCALHOST_ONLY = 'ROS_LOCALHOST_ONLY'

LIMITS = (
    f'{_RANGE} is OFF, or LOCALHOST without {_PEERS}, or {_LOCALHOST_ONLY} is 1: others on the '
    'network could listen'
)
"""What the environment has to say for `is_this_host`, continuing a sentence."""


def is_this_host(environ: Mapping[str, str]) -> bool:
    """Tell whether nodes of other hosts are not discovered, as rcl reads the environment.

    ROS_LOCALHOST_ONLY goes before the others, static peers go beyond LOCALHOST, and nothing goes
    beyond OFF. What a file of the middleware says otherwise is not looked at.
    """
    if environ.get(_LOCALHOST_ONLY) == '1':
        return True
    reach = environ.get(_RANGE)
    return reach == 'OFF' or (reach == 'LOCALHOST' and not environ.get(_PEERS))
