# SPDX-License-Identifier: Apache-2.0
"""A node that runs until the fragment itself has launch end it."""

from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, RegisterEventHandler
from launch.conditions import IfCondition, UnlessCondition
from launch.event_handlers import OnProcessExit
from launch.events import matches_action, Shutdown
from launch.events.process import ShutdownProcess
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

NODE = 'trap "" INT; trap "$0" TERM; echo amiss >&2; echo up; : > up; while :; do sleep 0.1; done'
CHECK = 'until [ -e up ]; do sleep 0.1; done'


def generate_launch_description() -> LaunchDescription:
    """Return the node, which does what is asked on SIGTERM, and a check that ends it."""
    node = ExecuteProcess(
        cmd=['sh', '-c', NODE, LaunchConfiguration('on_sigterm')],
        name='node',
        sigterm_timeout='1',
        sigkill_timeout='1',
    )
    check = ExecuteProcess(cmd=['sh', '-c', CHECK], name='check')
    everything = Shutdown(reason='the check is done')
    the_node = ShutdownProcess(process_matcher=matches_action(node))
    ends = [
        EmitEvent(event=everything, condition=IfCondition(LaunchConfiguration('end_all'))),
        EmitEvent(event=the_node, condition=UnlessCondition(LaunchConfiguration('end_all'))),
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument('on_sigterm', default_value='exit 143'),
            DeclareLaunchArgument('end_all', default_value='true'),
            node,
            check,
            RegisterEventHandler(OnProcessExit(target_action=check, on_exit=ends)),
        ]
    )
