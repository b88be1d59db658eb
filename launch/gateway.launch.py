"""Starts the gateway: `ros2 launch gateway_node gateway.launch.py [port:=18080]`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
import yaml

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

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
    """Return the gateway's node, as the arguments say."""
    config_file = LaunchConfiguration('config_file').perform(context)
    parameters: list[object] = [config_file]
    for argument, value_type in (('host', str), ('port', int)):
        given = LaunchConfiguration(argument)
        if given.perform(context):
            value = ParameterValue(given, value_type=value_type)
            parameters.append({f'server.{argument}': value})
    # By default launch kills after 5 s each, in the middle of a graceful end.
    timeout = str(max(LAUNCH_FRAGMENT_GRACE_SEC, stop_grace_period_sec(config_file)) + MARGIN_SEC)
    return [
        Node(
            package='gateway_node',
            executable='gateway_node',
            output='screen',
            parameters=parameters,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            sigterm_timeout=timeout,
            sigkill_timeout=timeout,
        )
    ]


def stop_grace_period_sec(config_file: str) -> float:
    """Return the longest `scripts.stop_grace_period_sec` in a parameter file, else the default.

    What is wrong with the file is the gateway's to say: it starts next and reads it too.
    """
    try:
        sections = yaml.safe_load(Path(config_file).read_text(encoding='utf-8'))
    except (OSError, UnicodeError, yaml.YAMLError):
        return DEFAULT_GRACE_SEC
    found = [DEFAULT_GRACE_SEC]

    def look(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                look(inner, f'{path}.{key}')
        elif path.endswith('.scripts.stop_grace_period_sec') and isinstance(value, (int, float)):
            found.append(float(value))

    look(sections, '')
    return max(found)
