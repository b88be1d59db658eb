# SPDX-License-Identifier: Apache-2.0
"""Starts the gateway: `ros2 launch gateway_node gateway.launch.py [port:=18080]`.

A launch file that starts other nodes too, which shall outlive the gateway, includes this one with
`required:=false`.
"""

import functools
import json
from pathlib import Path
import re

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.utilities import prefix_namespace

from gateway_node.before_start import MISCONFIGURED
from gateway_node.ros.errors import ParameterFileInvalid
from gateway_node.ros.parameter_files import names_in, sections_for
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

NODE_NAME = 'gateway_node'
PARAMETERS = {'host': 'server.host', 'port': 'server.port', 'state_dir': 'state_dir'}
"""By the launch argument that sets it."""
_NAME = '[A-Za-z_][A-Za-z0-9_]*'
_ALLOWED = 'letters of ASCII, digits and _, no digit first'
NAMES = {
    'name': (_NAME, _ALLOWED),
    'namespace': (f'/?({_NAME}(/{_NAME})*/?)?', f'names with / between them, each of {_ALLOWED}'),
}
"""What the names of nodes and namespaces look like, and that in words, by launch argument."""
# Time for what held the port or the state directory to go.
RESPAWN_DELAY_SEC = 5.0
# A launch fragment gets at least this long to end (seconds), whatever the configured grace.
LAUNCH_FRAGMENT_GRACE_SEC = 12.0
DEFAULT_GRACE_SEC = 5.0
# The gateway ends within the longest grace and 2 s; the rest is for a loaded machine.
MARGIN_SEC = 5.0


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the gateway."""
    default_file = Path(get_package_share_directory('gateway_node')) / 'config' / 'gateway.yaml'
    true_or_false = ['true', 'false']
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in (
            ('host', '', 'Addresses of the HTTP server; empty: what config_file says.'),
            ('port', '', 'Port of the HTTP server; empty: what config_file says.'),
            ('state_dir', '', 'Directory that holds all state; empty: what config_file says.'),
            ('config_file', str(default_file), 'YAML file with the parameters of the gateway.'),
            ('name', NODE_NAME, "The node's name."),
            ('namespace', '', "The node's namespace; empty: that of the including launch file."),
            ('log_level', 'info', 'debug, info, warn, error or fatal.'),
        )
    ]
    return LaunchDescription(
        [
            *arguments,
            DeclareLaunchArgument(
                'respawn',
                default_value='false',
                choices=true_or_false,
                description=f'Whether a gateway that has ended is started again after '
                f'{RESPAWN_DELAY_SEC:g} s; one that refuses its configuration is not.',
            ),
            DeclareLaunchArgument(
                'required',
                default_value='true',
                choices=true_or_false,
                description='Whether the launch ends, with status 1, with a gateway that failed.',
            ),
            OpaqueFunction(function=gateway),
        ]
    )


def gateway(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the gateway's node, as the arguments say; LaunchArgumentInvalid."""
    check_names(context)
    config_file = Path(given(context, 'config_file')).expanduser()
    timeout = str(
        max(LAUNCH_FRAGMENT_GRACE_SEC, longest_grace_sec(context, config_file)) + MARGIN_SEC
    )
    # What the launch configurations hold when the gateway ends may be another one's.
    respawn, required = (given(context, name) == 'true' for name in ('respawn', 'required'))
    return [
        Node(
            package='gateway_node',
            executable='gateway_node',
            name=given(context, 'name'),
            namespace=given(context, 'namespace') or None,
            output='screen',
            parameters=[str(config_file)],
            ros_arguments=['--log-level', LaunchConfiguration('log_level'), *set_here(context)],
            respawn=respawn,
            respawn_delay=RESPAWN_DELAY_SEC,
            on_exit=functools.partial(after_the_end, respawn=respawn, required=required),
            # By default launch kills after 5 s each, in the middle of a graceful end.
            sigterm_timeout=timeout,
            sigkill_timeout=timeout,
        )
    ]


def check_names(context: LaunchContext) -> None:
    """Raise LaunchArgumentInvalid where `name` or `namespace` is none that ROS takes."""
    for argument, (pattern, allowed) in NAMES.items():
        value = given(context, argument)
        if not re.fullmatch(pattern, value):
            raise LaunchArgumentInvalid(
                argument=argument, value=value, reason='ROS does not take', allowed=allowed
            )


def set_here(context: LaunchContext) -> list[str]:
    """Return ROS arguments for the parameters that launch arguments set.

    As `parameters` they would lose to a file with a section of its own for the node.
    """
    arguments: list[str] = []
    for argument, parameter in PARAMETERS.items():
        value = given(context, argument)
        if value:
            # JSON's string is YAML's, of whatever it looks like.
            text = value if argument == 'port' else json.dumps(value)
            arguments += ['-p', f'{parameter}:={text}']
    return arguments


def after_the_end(
    event: ProcessExited, context: LaunchContext, *, respawn: bool, required: bool
) -> list[LaunchDescriptionEntity] | None:
    """Let launch fail with the gateway, where it is required; GatewayFailed.

    One that refuses its configuration would refuse it for ever, and is not started again.
    """
    refused = event.returncode == MISCONFIGURED
    comes_again = respawn and not refused
    if event.returncode == 0 or context.is_shutdown or comes_again:
        return None
    if required:
        raise GatewayFailed(event.returncode, refused=refused)
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]


def given(context: LaunchContext, argument: str) -> str:
    """Return the value of a launch argument."""
    return str(LaunchConfiguration(argument).perform(context))


def longest_grace_sec(context: LaunchContext, config_file: Path) -> float:
    """Return the longest `scripts.stop_grace_period_sec` that `config_file` has for the node.

    Launch starts a node without the file that it does not find, and the node takes its defaults
    where a file has nothing for it. Raises LaunchArgumentInvalid.
    """
    namespace = prefix_namespace(
        context.launch_configurations.get('ros_namespace'), given(context, 'namespace') or None
    )
    node = '/' + '/'.join(names_in(f'{namespace or ""}/{given(context, "name")}'))
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


class GatewayFailed(Exception):
    """The gateway ended by itself; launch tells it and ends with 1."""

    def __init__(self, status: int, *, refused: bool) -> None:
        reason = 'it refuses to start as it is configured' if refused else 'it failed'
        super().__init__(f'the gateway ended with status {status}: {reason}; see its last lines')


class LaunchArgumentInvalid(Exception):
    """An argument that the gateway cannot be launched with; launch tells it and ends with 1."""

    def __init__(self, *, argument: str, value: str, reason: str, allowed: str) -> None:
        super().__init__(
            f'launch argument {argument} is {value!r}, which {reason}; allowed: {allowed}'
        )
