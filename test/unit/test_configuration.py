# SPDX-License-Identifier: Apache-2.0
"""The parameters and the configuration that is made of them."""

import math
from pathlib import Path
from typing import Any

import pytest

from gateway_node.ros.configuration import Configuration
from gateway_node.ros.configuration_reading import configuration_from
from gateway_node.ros.errors import (
    ParameterInvalid,
    ParameterUnknown,
    RosRefused,
    RosUnavailable,
    start_error,
)
from gateway_node.ros.parameter_specification import ParameterType
from gateway_node.ros.specifications import PARAMETERS
from gateway_node.scripts.values import Limits

ENVIRON = {'HOME': '/home/kim'}


def configured(**given: Any) -> Configuration:
    """Return the configuration of `given`, whose names have `__` for the dot."""
    return configuration_from(
        {name.replace('__', '.'): value for name, value in given.items()}, environ=ENVIRON
    )


def test_nothing_given_means_the_documented_defaults() -> None:
    """Without any parameter the gateway listens on the loopback and keeps state under ~/.ros."""
    configuration = configured()
    assert (configuration.server.host, configuration.server.port) == ('127.0.0.1', 8080)
    assert configuration.state_dir == Path('/home/kim/.ros/gateway_node')
    assert configuration.scripts.scripts_dir == Path('/home/kim/.ros/gateway_node/scripts')
    assert configuration.scripts.max_file_size_bytes == 10 * 1024 * 1024
    assert configuration.history.max_executions == 100_000
    assert configuration.entities.manifest is None
    assert 'launch_ros_*' in configuration.entities.ignored_nodes
    assert configuration.environment.setup_files == ()
    assert configuration.status_topic == '~/execution_status'


def test_a_name_to_listen_on_is_a_name_to_answer_for() -> None:
    """Beside the names that are listed."""
    given = {'server.host': 'robot7.example, 127.0.0.1', 'server.allowed_hosts': ['a.example']}
    names = configuration_from(given, environ={'HOME': '/home/kim'}).server.names
    assert names == ('a.example', 'robot7.example', '127.0.0.1')


def test_a_trusted_proxy_is_an_address_or_a_network() -> None:
    """Of either family; an address alone is a network of one."""
    given = ['10.0.0.7', '10.1.0.0/16', 'fd00::/8', '']
    trusted = configured(server__trusted_proxies=given).server.trusted_proxies
    assert [str(each) for each in trusted] == ['10.0.0.7/32', '10.1.0.0/16', 'fd00::/8']
    assert configured().server.trusted_proxies == ()


@pytest.mark.parametrize('value', ['proxy.example', '10.1.2.3/16', '10.0.0.0/33', '*', ' '])
def test_what_is_no_network_is_no_trusted_proxy(value: str) -> None:
    """Names, networks with bits of a host and wildcards stop the start."""
    with pytest.raises(ParameterInvalid, match=r'server.trusted_proxies is .*; allowed: IP addr'):
        configured(server__trusted_proxies=['10.0.0.7', value])


def test_callbacks_may_go_nowhere_unless_entries_say_where() -> None:
    """Names, addresses and networks; what is none of them stops the start with what is allowed."""
    assert configured().callbacks.allowed == ()
    assert configured().callbacks.secret_file is None
    given = ['fleet.example:8443', '10.0.0.0/8', '']
    name, network = configured(callbacks__allowed=given).callbacks.allowed
    assert (name.name, name.port, str(network.networks[0])) == (
        'fleet.example',
        8443,
        '10.0.0.0/8',
    )
    for value in ('http://fleet.example', '*', '10.0.0.1/8'):
        with pytest.raises(ParameterInvalid, match=r'callbacks.allowed is .*; allowed: host name'):
            configured(callbacks__allowed=['fleet.example', value])


def test_no_node_is_ignored_where_that_is_said() -> None:
    """`['']` is none, not the default."""
    assert configured(entities__ignored_nodes=['']).entities.ignored_nodes == ()


def test_every_default_is_allowed_by_its_own_specification() -> None:
    """No default lies outside the range that its parameter allows."""
    for specification in PARAMETERS:
        if specification.default is not None:
            assert specification.checked(specification.default) == specification.default


def test_ros_home_holds_the_state_where_it_is_set() -> None:
    """$ROS_HOME comes before ~/.ros; the empty string counts as not set."""
    at_home = configuration_from({}, environ={'HOME': '/home/kim', 'ROS_HOME': '/srv/ros'})
    assert at_home.state_dir == Path('/srv/ros/gateway_node')
    empty = configuration_from({}, environ={'HOME': '/home/kim', 'ROS_HOME': ''})
    assert empty.state_dir == Path('/home/kim/.ros/gateway_node')


def test_the_scripts_directory_follows_the_state_directory() -> None:
    """scripts.scripts_dir is <state_dir>/scripts unless it is given."""
    assert configured(state_dir='/a').scripts.scripts_dir == Path('/a/scripts')
    given = configured(state_dir='/a', scripts__scripts_dir='~/b')
    assert given.scripts.scripts_dir == Path('/home/kim/b')


def test_an_empty_scripts_directory_turns_scripts_off() -> None:
    """scripts.scripts_dir of '' is no directory at all."""
    assert configured(scripts__scripts_dir='').scripts.scripts_dir is None


def test_relative_paths_become_absolute() -> None:
    """A relative path is meant from the working directory at the start."""
    assert configured(state_dir='here').state_dir == Path.cwd() / 'here'


def test_a_tilde_without_a_home_is_refused() -> None:
    """Where HOME is not set a path with ~ names nothing."""
    with pytest.raises(ParameterInvalid, match=r'state_dir.*HOME is not set'):
        configuration_from({}, environ={})


@pytest.mark.parametrize('value', [2, 2.0])
def test_numbers_may_be_whole_or_fractional(value: float) -> None:
    """`:=2` and `:=2.0` mean the same for *_sec and *_mb."""
    configuration = configured(scripts__default_timeout_sec=value, scripts__max_file_size_mb=value)
    assert configuration.scripts.default_timeout_sec == 2.0
    assert isinstance(configuration.scripts.max_file_size_mb, float)


@pytest.mark.parametrize('value', [None, [], [''], ()])
def test_unset_and_empty_arrays_all_mean_none(value: object) -> None:
    """Unset, [] and [''] are the same for a string array."""
    assert configured(environment__setup_files=value).environment.setup_files == ()


def test_setup_files_keep_their_order() -> None:
    """Setup files are sourced in the order given."""
    configuration = configured(environment__setup_files=['/b/setup.bash', '~/a/setup.bash'])
    assert configuration.environment.setup_files == (
        Path('/b/setup.bash'),
        Path('/home/kim/a/setup.bash'),
    )


def test_zero_means_no_limit_of_the_history() -> None:
    """history.* of 0 limits nothing, nor does log.*."""
    history = configured(history__max_executions=0, history__max_age_days=0).history
    assert (history.max_executions, history.max_age_days) == (None, None)
    log = configured(log__max_events=0, log__max_age_days=0).log
    assert (log.max_events, log.max_age_days) == (None, None)
    assert configured(log__max_events=5).log.max_events == 5


def test_a_default_limit_of_zero_is_none() -> None:
    """Unset and 0 set no limit; any other value is in the range of a script's own limit."""
    assert configured(default_limits__cpu_sec=0, default_limits__processes=0).default_limits == (
        Limits()
    )
    limits = configured(default_limits__cpu_sec=2, default_limits__open_files=64).default_limits
    assert limits == Limits(cpu_sec=2.0, open_files=64)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('server.host', ''),
        ('server.host', 'two words'),
        ('server.host', '127.0.0.1,'),
        ('server.host', ',::1'),
        ('server.host', 'a,,b'),
        ('server.host', 'http://a'),
        ('server.host', 10),
        ('server.port', -1),
        ('server.port', 65536),
        ('server.port', 8080.0),
        ('server.port', True),
        ('server.port', '8080'),
        ('server.path_prefix', 'x'),
        ('server.path_prefix', '/'),
        ('server.path_prefix', '/x/'),
        ('server.path_prefix', '//x'),
        ('server.path_prefix', '/x?y'),
        ('server.path_prefix', '/x/../y'),
        ('server.path_prefix', '/x\n'),
        ('state_dir', ''),
        ('state_dir', '/a\0b'),
        ('scripts.scripts_dir', 7),
        ('scripts.allow_uploads', 'true'),
        ('scripts.allow_uploads', 1),
        ('scripts.max_file_size_mb', 0),
        ('scripts.max_file_size_mb', math.nan),
        ('scripts.max_concurrent_executions', 0),
        ('scripts.max_concurrent_executions', 1001),
        ('scripts.max_concurrent_executions_per_entity', 0),
        ('scripts.default_timeout_sec', 0),
        ('scripts.default_timeout_sec', math.inf),
        ('scripts.default_timeout_sec', False),
        ('scripts.stop_grace_period_sec', -0.1),
        ('default_limits.cpu_sec', 0.001),
        ('default_limits.memory_mb', -1),
        ('default_limits.processes', 2.5),
        ('default_limits.processes', False),
        ('default_limits.open_files', 15),
        ('default_limits.output_mb', 1e9),
        ('entities.manifest', ['a']),
        ('environment.setup_files', 'a'),
        ('environment.setup_files', ['a', 3]),
        ('environment.setup_files', ['a\nb']),
        ('history.max_executions', -1),
        ('history.max_age_days', -math.inf),
        ('status_topic', ''),
        ('status_topic', 'a b'),
        ('status_topic', '~'),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_what_is_allowed(
    name: str, value: object
) -> None:
    """The message is one line that names the parameter, the value and what is allowed."""
    with pytest.raises(ParameterInvalid) as caught:
        configuration_from({name: value}, environ=ENVIRON)
    message = str(caught.value)
    assert message.startswith(f'parameter {name} is {value!r}; allowed: ')
    assert message.splitlines() == [message]
    assert caught.value.allowed in message


def test_an_endless_value_is_cut_in_the_message() -> None:
    """A message stays readable however long the value is."""
    with pytest.raises(ParameterInvalid) as caught:
        configured(server__host=' ' * 10_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize('prefix', ['', '/x', '/robot/front-left', '/a.b/~c'])
def test_path_prefixes_are_empty_or_segments(prefix: str) -> None:
    """'' and '/x/y' are path prefixes."""
    assert configured(server__path_prefix=prefix).server.path_prefix == prefix


def test_an_unknown_parameter_gets_a_hint() -> None:
    """A typo is answered with the nearest name, anything else with all names."""
    known = [specification.name for specification in PARAMETERS]
    assert 'did you mean server.port?' in str(ParameterUnknown('server.prot', known))
    assert 'known: server.host, server.port' in str(ParameterUnknown('zzz', known))


def test_a_message_of_rclpy_becomes_one_line() -> None:
    """Whatever rclpy says, the message is one line without the places in rcl's sources."""
    reason = "failed: '--params-file /nope'.\nError, at /src/parser.c:271, at /src/arguments.c:415"
    assert str(RosRefused(reason)) == ("ROS does not start: failed: '--params-file /nope'. Error")


@pytest.mark.parametrize(
    ('reason', 'error'),
    [
        ("failed to initialize rcl: Couldn't parse remap rule: '-r a'", RosRefused),
        ("unknown arguments ['--bogus'] after --ros-args", RosRefused),
        ("failed to initialize rcl: Enclave name is not valid: 'it must be absolute'", RosRefused),
        ('error creating node: invalid node name: too long', RosRefused),
        ('error creating node: invalid node namespace: too long', RosRefused),
        ("failed: logging backend doesn't support external configuration", RosRefused),
        ('failed to initialize rcl: ROS_DOMAIN_ID is not an integral number', RosRefused),
        ('Failed opening file /log/a.log for writing: No space left on device', RosUnavailable),
        ("failed to initialize logging: Failed to create log directory '/a': 28", RosUnavailable),
        ('error creating node: failed to create participant', RosUnavailable),
        ("can't start new thread", RosUnavailable),
        ('failed to initialize rcl: error not set', RosUnavailable),
    ],
)
def test_ros_refuses_for_good_what_it_was_given_alone(reason: str, error: type[Exception]) -> None:
    """Arguments and names; what it lacks it may have the next time."""
    assert type(start_error(reason)) is error


def test_a_ros_that_cannot_log_says_what_to_set() -> None:
    """Where a file cannot be made, and where it cannot be opened."""
    for reason in ('failed to initialize logging: 28', 'Failed opening file /a for writing: x'):
        assert 'set HOME, or ROS_LOG_DIR' in str(start_error(reason))


def test_every_parameter_is_described() -> None:
    """Each has a sentence, each number a range, and names are unique."""
    assert len({specification.name for specification in PARAMETERS}) == len(PARAMETERS)
    for specification in PARAMETERS:
        assert specification.description.endswith('.')
        assert specification.allowed
        if specification.type in {ParameterType.INTEGER, ParameterType.NUMBER}:
            assert specification.minimum is not None
            assert specification.maximum is not None


def test_an_audit_that_is_required_is_enabled() -> None:
    """Nobody may rely on one that is not there."""
    with pytest.raises(ParameterInvalid, match=r'audit\.required is True; allowed: false, where'):
        configuration_from({'audit.enabled': False, 'audit.required': True}, environ=ENVIRON)


def test_json_web_tokens_need_keys_an_issuer_and_an_audience() -> None:
    """Without keys none is taken; with them, one of another issuer, or for another, is not."""
    assert configured().auth.jwt is None
    given = {
        'auth.jwt.keys_file': '~/keys.json',
        'auth.jwt.issuer': 'https://issuer.example',
        'auth.jwt.audience': 'robot-7',
    }
    jwt = configuration_from(given, environ=ENVIRON).auth.jwt
    assert jwt is not None
    assert jwt.keys_file == Path('/home/kim/keys.json')
    assert (jwt.name_claim, jwt.role_claim, jwt.leeway_sec) == ('sub', 'role', 30.0)
    for name in ('auth.jwt.issuer', 'auth.jwt.audience'):
        with pytest.raises(ParameterInvalid, match=f"{name} is ''; allowed: a text, as"):
            configuration_from(given | {name: ''}, environ=ENVIRON)


@pytest.mark.parametrize('claim', ['', 'a claim', 'rôle'])
def test_a_claim_has_a_name(claim: str) -> None:
    """An empty one would be in no token, and then nothing is narrowed."""
    with pytest.raises(ParameterInvalid, match='the name of a claim'):
        configured(auth__jwt__entities_claim=claim)
