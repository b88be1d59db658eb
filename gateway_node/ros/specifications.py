# SPDX-License-Identifier: Apache-2.0
"""The gateway's parameters in one table; knows nothing of rclpy.

`parameters.py` declares the table on a node, `configuration_reading.py` makes one value of it.
"""

from gateway_node.ros.access_specifications import ACCESS_PARAMETERS
from gateway_node.ros.evidence_specifications import EVIDENCE_PARAMETERS
from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType
from gateway_node.ros.transport_specifications import TRANSPORT_PARAMETERS
from gateway_node.ros.trigger_specifications import TRIGGER_PARAMETERS
from gateway_node.scripts.metadata import LIMIT_RANGES, WHOLE_LIMITS

_STRING = ParameterType.STRING
_INTEGER = ParameterType.INTEGER
_NUMBER = ParameterType.NUMBER
_BOOLEAN = ParameterType.BOOLEAN
_STRING_ARRAY = ParameterType.STRING_ARRAY
_PATH = 'a path; ~ is the home directory'


def _default_limit(name: str, unit: str, meaning: str) -> ParameterSpecification:
    whole = name in WHOLE_LIMITS
    minimum, maximum = LIMIT_RANGES[name]
    return ParameterSpecification(
        name=f'default_limits.{name}',
        type=_INTEGER if whole else _NUMBER,
        default=0 if whole else 0.0,
        unit=unit,
        minimum=minimum,
        maximum=maximum,
        zero_is_none=True,
        description=f'{meaning}, for scripts that set no limit of their own; 0 for no limit.',
    )


PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='server.host',
        type=_STRING,
        default='127.0.0.1',
        form='host names or IP addresses, a comma between several',
        pattern=r'[^\s/,]+( *, *[^\s/,]+)*',
        description='Addresses that the HTTP server listens on; :: for all, 0.0.0.0 for all of '
        'IPv4.',
    ),
    ParameterSpecification(
        name='server.port',
        type=_INTEGER,
        default=8080,
        minimum=0,
        maximum=65535,
        description='TCP port of the HTTP server; 0 picks a free one, which the log names.',
    ),
    ParameterSpecification(
        name='server.path_prefix',
        type=_STRING,
        default='',
        form='empty, or segments such as /robot/front without a trailing slash',
        pattern=r'(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)*',
        description='Path in front of /api/v1, for a gateway behind a reverse proxy.',
    ),
    ParameterSpecification(
        name='server.allowed_hosts',
        type=_STRING_ARRAY,
        default=(),
        form="host names without a port, such as robot7.example; [''] for none",
        pattern=r'[A-Za-z0-9._-]*',
        description='Host names, beside localhost and those of the host, for which requests are '
        'answered; any IP address is.',
    ),
    ParameterSpecification(
        name='server.trusted_proxies',
        type=_STRING_ARRAY,
        default=(),
        form="IP addresses and networks, such as 10.0.0.7 and 10.1.0.0/16; [''] for none",
        description='Proxies that are believed where X-Forwarded-For names the client and '
        'X-Forwarded-Prefix the path that they took off; from anybody else these are ignored.',
    ),
    ParameterSpecification(
        name='server.max_connections',
        type=_INTEGER,
        default=256,
        unit='connections',
        minimum=16,
        maximum=65535,
        description='Most connections that are open at a time, half of them from one address, and '
        'half at work for one identity; fewer where the limit of open files leaves less room.',
    ),
    *TRANSPORT_PARAMETERS,
    ParameterSpecification(
        name='streams.max',
        type=_INTEGER,
        default=1000,
        unit='streams',
        minimum=0,
        maximum=65535,
        description='Most streams of events that are open at a time, 0 for none; each takes a '
        'connection, of which they have half at most.',
    ),
    ParameterSpecification(
        name='streams.max_per_client',
        type=_INTEGER,
        default=50,
        unit='streams',
        minimum=1,
        maximum=65535,
        description='Most streams of events that one address, and one identity, has open at a '
        'time.',
    ),
    ParameterSpecification(
        name='streams.heartbeat_sec',
        type=_NUMBER,
        default=15.0,
        unit='s',
        minimum=1,
        maximum=3600,
        description='How long a stream of events is silent at most, for proxies that close what '
        'is.',
    ),
    ParameterSpecification(
        name='state_dir',
        type=_STRING,
        form=_PATH,
        pattern='.+',
        description='Directory that holds all state; by default $ROS_HOME/gateway_node, where '
        'ROS_HOME is not set ~/.ros/gateway_node.',
    ),
    ParameterSpecification(
        name='state_min_free_mb',
        type=_NUMBER,
        default=64.0,
        unit='MiB',
        minimum=0,
        maximum=16_777_216,
        description='Free disk space of state_dir below which no script is started or uploaded; '
        '0 for no bound.',
    ),
    ParameterSpecification(
        name='scripts.scripts_dir',
        type=_STRING,
        form=f'{_PATH}; empty turns scripts off',
        description='Directory of the uploaded scripts; by default scripts in state_dir.',
    ),
    ParameterSpecification(
        name='scripts.allow_uploads',
        type=_BOOLEAN,
        default=True,
        description='Whether clients may upload, replace and delete scripts.',
    ),
    ParameterSpecification(
        name='scripts.max_file_size_mb',
        type=_NUMBER,
        default=10.0,
        unit='MiB',
        minimum=0.001,
        maximum=4096,
        description='Largest script that can be uploaded.',
    ),
    ParameterSpecification(
        name='scripts.max_scripts',
        type=_INTEGER,
        default=1000,
        unit='scripts',
        minimum=0,
        maximum=1_000_000,
        description='Most scripts that are uploaded, over all entities; 0 for no limit.',
    ),
    ParameterSpecification(
        name='scripts.max_concurrent_executions',
        type=_INTEGER,
        default=5,
        unit='executions',
        minimum=1,
        maximum=1000,
        description='Most executions that run at a time, over all entities; others wait in line.',
    ),
    ParameterSpecification(
        name='scripts.max_concurrent_executions_per_entity',
        type=_INTEGER,
        default=2,
        unit='executions',
        minimum=1,
        maximum=1000,
        description='Most executions that run at a time on one entity; others wait in line.',
    ),
    ParameterSpecification(
        name='scripts.default_timeout_sec',
        type=_NUMBER,
        default=300.0,
        unit='s',
        minimum=0.1,
        maximum=31_536_000,
        description='Time limit of an execution whose script sets none.',
    ),
    ParameterSpecification(
        name='scripts.stop_grace_period_sec',
        type=_NUMBER,
        default=5.0,
        unit='s',
        minimum=0,
        maximum=3600,
        description='Time between the request to end and the kill of a script.',
    ),
    ParameterSpecification(
        name='scripts.manifest',
        type=_STRING,
        default='',
        form=f'{_PATH}; empty for none',
        description='YAML file that declares the managed, pre-deployed scripts.',
    ),
    ParameterSpecification(
        name='scripts.keep_working_directories',
        type=_BOOLEAN,
        default=False,
        description='Whether the working directory of an execution stays after its end.',
    ),
    _default_limit('cpu_sec', 's', 'Most CPU time of the whole process tree'),
    _default_limit('memory_mb', 'MiB', 'Most resident memory of the whole process tree'),
    _default_limit('processes', 'processes', 'Most processes of the tree at one moment'),
    _default_limit('open_files', 'files', 'Most open files of each process'),
    _default_limit('file_size_mb', 'MiB', 'Largest file that may be written'),
    _default_limit('output_mb', 'MiB', 'Most bytes on stdout and stderr together'),
    ParameterSpecification(
        name='artifacts.max_files',
        type=_INTEGER,
        default=100,
        unit='files',
        minimum=0,
        maximum=10_000,
        description='Most files that are kept of what an execution leaves in its folder of '
        'artifacts.',
    ),
    ParameterSpecification(
        name='artifacts.max_file_mb',
        type=_NUMBER,
        default=100.0,
        unit='MiB',
        minimum=0,
        maximum=4000,
        description='Largest file that is kept of them.',
    ),
    ParameterSpecification(
        name='artifacts.max_total_mb',
        type=_NUMBER,
        default=200.0,
        unit='MiB',
        minimum=0,
        maximum=4000,
        description='Most that all of them take together.',
    ),
    *EVIDENCE_PARAMETERS,
    ParameterSpecification(
        name='entities.manifest',
        type=_STRING,
        default='',
        form=f'{_PATH}; empty for none',
        description='YAML file that declares components and functions and the nodes in them.',
    ),
    ParameterSpecification(
        name='entities.ignored_nodes',
        type=_STRING_ARRAY,
        default=('launch_ros_*', 'transform_listener_impl_*', 'rqt_gui_*'),
        form="globs over node names, with a slash over fully qualified ones; [''] for none",
        pattern=r'[A-Za-z0-9_/*?\[\]!-]*',
        description='Nodes that are no apps: by default those that ROS tools start beside others, '
        'under a new name each time.',
    ),
    ParameterSpecification(
        name='environment.setup_files',
        type=_STRING_ARRAY,
        default=(),
        form="paths, ~ is the home directory; [''] for none",
        description='Setup files that are sourced, in this order, for the environment of scripts.',
    ),
    ParameterSpecification(
        name='python.warm',
        type=_BOOLEAN,
        default=True,
        description='Whether Python scripts are forked from an interpreter that has their '
        'modules loaded: they start many times faster, for some 40 MiB of memory.',
    ),
    ParameterSpecification(
        name='python.warm_modules',
        type=_STRING_ARRAY,
        default=('rclpy', 'gateway_node.script'),
        form="names of modules, such as sensor_msgs.msg; [''] for none",
        pattern=r'([^\W\d]\w*(\.[^\W\d]\w*)*)?',
        description='What that interpreter loads, beside what a node needs; what the '
        'environment of scripts does not have is left out.',
    ),
    ParameterSpecification(
        name='history.max_executions',
        type=_INTEGER,
        default=100_000,
        unit='executions',
        minimum=0,
        maximum=1_000_000_000,
        description='Ended executions that are kept; 0 for no limit.',
    ),
    ParameterSpecification(
        name='history.max_age_days',
        type=_NUMBER,
        default=90.0,
        unit='days',
        minimum=0,
        maximum=36_500,
        description='Time that the gateway was up since an execution ended, up to which the '
        'execution is kept; 0 for no limit.',
    ),
    ParameterSpecification(
        name='history.max_failed_age_days',
        type=_NUMBER,
        default=180.0,
        unit='days',
        minimum=0,
        maximum=36_500,
        description='The same for failed executions, which are kept longer; 0 for no limit.',
    ),
    ParameterSpecification(
        name='history.max_disk_mb',
        type=_NUMBER,
        default=4096.0,
        unit='MiB',
        minimum=0,
        maximum=16_777_216,
        description='Disk space for all that ended executions keep; beyond it the oldest are '
        'removed, failed ones after all others unless they take more than half of it; 0 for no '
        'limit.',
    ),
    ParameterSpecification(
        name='history.archive_dir',
        type=_STRING,
        default='',
        form=f'{_PATH}; empty for none',
        description='Directory in which ended executions are archived, a file a month, before '
        'they are removed by number, age or disk; empty: they are not.',
    ),
    ParameterSpecification(
        name='log.max_events',
        type=_INTEGER,
        default=100_000,
        unit='events',
        minimum=0,
        maximum=1_000_000_000,
        description='Events of the log of what happened that are kept, some 400 bytes each; twice '
        'as many where somebody follows the log and has not read them; 0 for no limit.',
    ),
    ParameterSpecification(
        name='log.max_age_days',
        type=_NUMBER,
        default=30.0,
        unit='days',
        minimum=0,
        maximum=36_500,
        description='Time that the gateway was up since an event, up to which it is kept; twice '
        'as long for who has not read it; 0 for no limit.',
    ),
    ParameterSpecification(
        name='executions.max_waiting',
        type=_INTEGER,
        default=100,
        unit='executions',
        minimum=0,
        maximum=10_000,
        description='Most executions that wait for a place where a client starts one more; 0 for '
        'none, so that what finds no place is refused.',
    ),
    ParameterSpecification(
        name='executions.max_open_per_identity',
        type=_INTEGER,
        default=0,
        unit='executions',
        minimum=0,
        maximum=10_000,
        description='Most executions that wait or run, and schedules, that one identity has at a '
        'time; 0 for no limit.',
    ),
    ParameterSpecification(
        name='line.max_wait_sec',
        type=_NUMBER,
        default=600.0,
        unit='s',
        minimum=0,
        maximum=31_536_000,
        description='How long an execution waits for a place until it goes before those with a '
        'higher priority.',
    ),
    ParameterSpecification(
        name='callbacks.allowed',
        type=_STRING_ARRAY,
        default=(),
        form='host names, *.domain, IP addresses and networks, with :port or without, such as '
        "fleet.example, *.fleet.example:8443, 10.0.0.7 and [fd00::/8]:8080; [''] for none",
        description='Where the ends of executions may be told; an address that is not public only '
        'where an address, a network or localhost is listed that contains it.',
    ),
    ParameterSpecification(
        name='callbacks.secret_file',
        type=_STRING,
        default='',
        form=f'{_PATH}; empty for none',
        description='File with the secret (whsec_…, mode 600) that callbacks are signed with as '
        'Standard Webhooks signs; it is read anew for each.',
    ),
    ParameterSpecification(
        name='restart.max_schedules',
        type=_INTEGER,
        default=100,
        unit='schedules',
        minimum=0,
        maximum=1_000_000,
        description='Most schedules that wait for a start of the gateway; 0 for no limit.',
    ),
    ParameterSpecification(
        name='restart.min_interval_sec',
        type=_NUMBER,
        default=60.0,
        unit='s',
        minimum=0,
        maximum=86_400,
        description='Shortest time between two starts by one schedule; a start of the gateway '
        'that comes sooner is skipped, so that a crash loop does not feed itself.',
    ),
    ParameterSpecification(
        name='restart.entity_timeout_sec',
        type=_NUMBER,
        default=60.0,
        unit='s',
        minimum=0,
        maximum=86_400,
        description='How long a scheduled execution waits for its entity to come online.',
    ),
    ParameterSpecification(
        name='restart.start_prepared',
        type=_BOOLEAN,
        default=False,
        description='Whether executions that were accepted and not started when the gateway ended '
        'are started by the next one, in their turn; else they fail.',
    ),
    *TRIGGER_PARAMETERS,
    *ACCESS_PARAMETERS,
    ParameterSpecification(
        name='status_topic',
        type=_STRING,
        default='~/execution_status',
        form='a topic name, such as ~/execution_status',
        pattern=r'(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*',
        description='Topic on which each change of an execution is published.',
    ),
)
