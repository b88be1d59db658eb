# SPDX-License-Identifier: Apache-2.0
"""Starts the gateway with the demo node: `ros2 launch gateway_node demo.launch.py`.

Takes the arguments of gateway.launch.py.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Include the gateway and start the demo node, whose name and namespace are its own."""
    launch_files = Path(get_package_share_directory('gateway_node')) / 'launch'
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(launch_files / 'gateway.launch.py'))
            ),
            Node(package='gateway_node', executable='temp_sensor', output='screen'),
        ]
    )
