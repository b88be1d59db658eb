"""Starts the gateway: `ros2 launch gateway_node gateway.launch.py [port:=18080]`."""

import json
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.utilities import prefix_namespace

from gateway_node.ros.errors import ParameterFileInvalid
from gateway_node.ros.parameter_files import names_in, sections_for
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

NODE_NAME = 'gateway_node'
# A launch fragment gets at least this long to end (seconds), whatever the configured grace.
LAUNCH_FRAGMENT_GRACE_SEC = 12.0
DEFAULT_GRACE_SEC = 5.0
# The gateway ends within the longest grace and 2 s; the rest is for a loaded machine.
MARGIN_SEC = 5.0


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the gateway."""
    default_file = Path(get_package_share_directory('gateway_node')) / 'config' / 'gateway.yaml'
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'host',
                default_value='',
                description='Addresses of the HTTP server; empty: what config_file says.',
            ),
            DeclareLaunchArgument(
                'port',
                default_value='',
                description='Port of the HTTP server; empty: what config_file says.',
            ),
            DeclareLaunchArgument(
                'config_file',
                default_value=str(default_file),
                description='YAML file with the parameters of the gateway.',
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                description='debug, info, warn, error or fatal.',
            ),
            OpaqueFunction(function=gateway),
        ]
    )


def gateway(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the gateway's node, as the arguments say; LaunchArgumentInvalid."""
    config_file = Path(given(context, 'config_file')).expanduser()
    timeout = str(
        max(LAUNCH_FRAGMENT_GRACE_SEC, longest_grace_sec(context, config_file)) + MARGIN_SEC
    )
    # As a parameter, what was given here would lose to the file where that has a section of its
    # own for the node.
    set_here: list[str] = []
    for argument in ('host', 'port'):
        value = given(context, argument)
        if value:
            # JSON's string is YAML's, of whatever it looks like.
            text = value if argument == 'port' else json.dumps(value)
            set_here += ['-p', f'server.{argument}:={text}']
    return [
        Node(
            package='gateway_node',
            executable=NODE_NAME,
            output='screen',
            parameters=[str(config_file)],
            ros_arguments=['--log-level', LaunchConfiguration('log_level'), *set_here],
            # By default launch kills after 5 s each, in the middle of a graceful end.
            sigterm_timeout=timeout,
            sigkill_timeout=timeout,
        )
    ]


def given(context: LaunchContext, argument: str) -> str:
    """Return the value of a launch argument."""
    return str(LaunchConfiguration(argument).perform(context))


def longest_grace_sec(context: LaunchContext, config_file: Path) -> float:
    """Return the longest `scripts.stop_grace_period_sec` that `config_file` has for the node.

    Launch starts a node without the file that it does not find, and the node takes its defaults
    where a file has nothing for it. Raises LaunchArgumentInvalid.
    """
    namespace = prefix_namespace(context.launch_configurations.get('ros_namespace'), None) or '/'
    node = '/' + '/'.join(names_in(f'{namespace}/{NODE_NAME}'))
    try:
        sections = sections_for(config_file, node)
    except ParameterFileInvalid as error:
        raise LaunchArgumentInvalid(
            argument='config_file',
            value=str(config_file),
            reason=error.reason,
            allowed=f'a YAML file with parameters for {node} or /**',
        ) from error
    found = [section.values.get('scripts.stop_grace_period_sec') for section in sections]
    return max(
        [DEFAULT_GRACE_SEC, *(float(sec) for sec in found if isinstance(sec, (int, float)))]
    )


class LaunchArgumentInvalid(Exception):
    """An argument that the gateway cannot be launched with; launch tells it and ends with 1."""

    def __init__(self, *, argument: str, value: str, reason: str, allowed: str) -> None:
        super().__init__(
            f'launch argument {argument} is {value!r}, which {reason}; allowed: {allowed}'
        )
