# SPDX-License-Identifier: Apache-2.0
"""Two steps, one after the other; each is a process."""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the sequence: the second step ends with the code that is asked for."""
    first = ExecuteProcess(
        cmd=['echo', 'text is', LaunchConfiguration('text')], name='first', output='screen'
    )
    second = ExecuteProcess(
        cmd=['sh', '-c', ['exit ', LaunchConfiguration('code')]], name='second'
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('text', choices=['hello', 'true', '5']),
            DeclareLaunchArgument('code', default_value='0'),
            first,
            RegisterEventHandler(OnProcessExit(target_action=first, on_exit=[second])),
        ]
    )
