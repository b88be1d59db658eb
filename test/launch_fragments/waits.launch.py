# SPDX-License-Identifier: Apache-2.0
"""A process that waits, and one that cannot be asked to end."""

from launch.actions import ExecuteProcess

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return both; the first has a daemon besides."""
    return LaunchDescription(
        [
            ExecuteProcess(cmd=['sh', '-c', '(setsid sleep 600 &); exec sleep 600']),
            ExecuteProcess(
                cmd=['sh', '-c', 'trap "" INT TERM; echo up; while :; do sleep 0.1; done'],
                output='screen',
            ),
        ]
    )
