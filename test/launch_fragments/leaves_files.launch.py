# SPDX-License-Identifier: Apache-2.0
"""A process that leaves a file, and the fragment itself another one."""

import os
from pathlib import Path

from launch.actions import ExecuteProcess

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the sequence of one step."""
    folder = os.environ.get('GATEWAY_ARTIFACTS')
    if folder is not None:
        (Path(folder) / 'of_the_fragment').touch()
    return LaunchDescription(
        [ExecuteProcess(cmd=['sh', '-c', 'echo > "$GATEWAY_ARTIFACTS/of_a_process"'])]
    )
