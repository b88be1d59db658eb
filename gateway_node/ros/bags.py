# SPDX-License-Identifier: Apache-2.0
"""Whether topics can be recorded as bags here; knows nothing of rclpy."""

import importlib.util

_MODULE = 'rosbag2_py'


def bag_fault() -> str:
    """Return why no bag can be recorded."""
    if importlib.util.find_spec(_MODULE) is None:
        return f'rosbag2 is not installed: there is no Python module {_MODULE} here'
    return 'rosbag2 is installed, but this version of the gateway records no bags'
