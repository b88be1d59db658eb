# SPDX-License-Identifier: Apache-2.0
"""Which ROS this process has."""

import importlib.metadata
import os
import re

from rclpy.utilities import get_rmw_implementation_identifier


def ros_distribution() -> str:
    """Return the ROS distribution's name: $ROS_DISTRO, else what pip installed, else `unknown`."""
    sourced = os.environ.get('ROS_DISTRO')
    if sourced:
        return sourced
    for distribution in importlib.metadata.distributions():
        wheel = re.fullmatch(r'ros-([a-z]+)-rclpy', distribution.metadata['Name'] or '')
        if wheel:
            return wheel.group(1)
    return 'unknown'


def rmw_identifier() -> str:
    """Return the name of the middleware in use, such as `rmw_fastrtps_cpp`."""
    return str(get_rmw_implementation_identifier())
