# SPDX-License-Identifier: Apache-2.0
"""Launches the given file with the given arguments (`name:=value`), as `ros2 launch` does."""

import sys

from launch.actions import IncludeLaunchDescription
from launch.launch_description import LaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.launch_service import LaunchService


def main() -> int:
    """Launch, and return launch's status."""
    path, *arguments = sys.argv[1:]
    # Not interactive: a SIGINT is passed on, as nobody's terminal sends it to the whole group.
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(path),
                    launch_arguments=[
                        (name, value)
                        for name, _, value in (given.partition(':=') for given in arguments)
                    ],
                )
            ]
        )
    )
    return int(service.run())


if __name__ == '__main__':
    sys.exit(main())
