# SPDX-License-Identifier: Apache-2.0
"""Makes the configuration of the parameters; knows nothing of rclpy."""

from collections.abc import Mapping
import ipaddress
from pathlib import Path
from typing import Any, cast

from gateway_node.callbacks.allowed import Entry, entry_of
from gateway_node.callbacks.errors import EntryInvalid
from gateway_node.ros.access_configuration import (
    AuditConfiguration,
    AuthConfiguration,
    JwtConfiguration,
    LocksConfiguration,
    ProximityConfiguration,
    RateLimitConfiguration,
)
from gateway_node.ros.configuration import (
    ArtifactsConfiguration,
    CallbacksConfiguration,
    Configuration,
    EntitiesConfiguration,
    EnvironmentConfiguration,
    ExecutionsConfiguration,
    HistoryConfiguration,
    IpNetwork,
    LineConfiguration,
    LogConfiguration,
    PythonConfiguration,
    RestartConfiguration,
    ScriptsConfiguration,
    ServerConfiguration,
    StreamsConfiguration,
)
from gateway_node.ros.errors import ParameterInvalid
from gateway_node.ros.evidence_configuration import EvidenceConfiguration
from gateway_node.ros.parameter_specification import ParameterValue
from gateway_node.ros.specifications import PARAMETERS
from gateway_node.ros.transport_configuration import cors_configuration, tls_configuration
from gateway_node.ros.trigger_configuration import TriggersConfiguration
from gateway_node.scripts.evidence_policy import EvidenceWhen
from gateway_node.scripts.values import Limits


def configuration_from(
    given: Mapping[str, object], *, environ: Mapping[str, str]
) -> Configuration:
    """Turn raw parameter values into the configuration.

    What is missing or None takes its default; names that are no parameters are not looked at.
    `environ` gives HOME and ROS_HOME. Raises ParameterInvalid.
    """
    values = checked_values(given)
    return Configuration(
        server=ServerConfiguration(
            **_group(values, 'server')
            | {
                'trusted_proxies': _networks(values, 'server.trusted_proxies'),
                'tls': tls_configuration(
                    **{
                        name: _optional_path(values, f'server.tls.{name}', environ)
                        for name in _group(values, 'server.tls')
                    }
                ),
            }
        ),
        cors=cors_configuration(**_group(values, 'cors')),
        streams=StreamsConfiguration(**_group(values, 'streams')),
        state_dir=_state_dir(values, environ),
        state_min_free_mb=cast(float, values['state_min_free_mb']),
        scripts=ScriptsConfiguration(
            **_group(values, 'scripts')
            | {
                'scripts_dir': _scripts_dir(values, environ),
                'manifest': _optional_path(values, 'scripts.manifest', environ),
                'max_scripts': cast(int, values['scripts.max_scripts']) or None,
            }
        ),
        default_limits=Limits(
            **{name: value or None for name, value in _group(values, 'default_limits').items()}
        ),
        artifacts=ArtifactsConfiguration(**_group(values, 'artifacts')),
        evidence=EvidenceConfiguration(
            default=EvidenceWhen(values['evidence.default']),
            max_mb=cast(float, values['evidence.max_mb']),
        ),
        entities=EntitiesConfiguration(
            **_group(values, 'entities')
            | {'manifest': _optional_path(values, 'entities.manifest', environ)}
        ),
        environment=EnvironmentConfiguration(
            setup_files=tuple(
                _path('environment.setup_files', file, environ)
                for file in cast(tuple[str, ...], values['environment.setup_files'])
            )
        ),
        python=PythonConfiguration(**_group(values, 'python')),
        history=HistoryConfiguration(
            max_executions=cast(int, values['history.max_executions']) or None,
            max_age_days=cast(float, values['history.max_age_days']) or None,
            max_failed_age_days=cast(float, values['history.max_failed_age_days']) or None,
            max_disk_mb=cast(float, values['history.max_disk_mb']) or None,
            archive_dir=_optional_path(values, 'history.archive_dir', environ),
        ),
        log=LogConfiguration(
            max_events=cast(int, values['log.max_events']) or None,
            max_age_days=cast(float, values['log.max_age_days']) or None,
        ),
        executions=ExecutionsConfiguration(**_group(values, 'executions')),
        line=LineConfiguration(**_group(values, 'line')),
        callbacks=CallbacksConfiguration(
            allowed=_entries(values, 'callbacks.allowed'),
            secret_file=_optional_path(values, 'callbacks.secret_file', environ),
        ),
        restart=RestartConfiguration(
            **_group(values, 'restart')
            | {'max_schedules': cast(int, values['restart.max_schedules']) or None}
        ),
        triggers=TriggersConfiguration(**_group(values, 'triggers')),
        auth=AuthConfiguration(
            **_group(values, 'auth')
            | {
                'tokens_file': _optional_path(values, 'auth.tokens_file', environ),
                'jwt': _jwt(values, environ),
            }
        ),
        locks=LocksConfiguration(**_group(values, 'locks')),
        rate_limit=RateLimitConfiguration(**_group(values, 'rate_limit')),
        proximity=ProximityConfiguration(**_group(values, 'proximity')),
        audit=AuditConfiguration(**_group(values, 'audit')),
        status_topic=cast(str, values['status_topic']),
    )


def checked_values(given: Mapping[str, object]) -> dict[str, ParameterValue | None]:
    """Return a value for every parameter: the given one, else the default; ParameterInvalid.

    A parameter that is given as None counts as not given. Derived defaults stay None.
    """
    values: dict[str, ParameterValue | None] = {}
    for specification in PARAMETERS:
        value = given.get(specification.name)
        values[specification.name] = (
            specification.default if value is None else specification.checked(value)
        )
    return values


def _group(values: Mapping[str, ParameterValue | None], group: str) -> dict[str, Any]:
    """Return the values of a group by their last names, without those of groups within."""
    groups = ((*name.rpartition('.'), value) for name, value in values.items())
    return {name: value for found, _, name, value in groups if found == group}


def _jwt(
    values: Mapping[str, ParameterValue | None], environ: Mapping[str, str]
) -> JwtConfiguration | None:
    keys_file = _optional_path(values, 'auth.jwt.keys_file', environ)
    if keys_file is None:
        return None
    for name in ('auth.jwt.issuer', 'auth.jwt.audience'):
        if not values[name]:
            raise ParameterInvalid(name, '', 'a text, as auth.jwt.keys_file is set')
    return JwtConfiguration(**_group(values, 'auth.jwt') | {'keys_file': keys_file})


def _networks(values: Mapping[str, ParameterValue | None], name: str) -> tuple[IpNetwork, ...]:
    networks = []
    for text in cast(tuple[str, ...], values[name]):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            allowed = 'IP addresses, and networks without bits of a host, such as 10.1.0.0/16'
            raise ParameterInvalid(name, text, allowed) from error
    return tuple(networks)


def _entries(values: Mapping[str, ParameterValue | None], name: str) -> tuple[Entry, ...]:
    entries = []
    for text in cast(tuple[str, ...], values[name]):
        try:
            entries.append(entry_of(text))
        except EntryInvalid as error:
            allowed = (
                'host names, *.domain, IP addresses, and networks without bits of a host, each '
                'with :port or without; addresses of IPv6 in brackets where a port follows'
            )
            raise ParameterInvalid(name, text, allowed) from error
    return tuple(entries)


def _state_dir(values: Mapping[str, ParameterValue | None], environ: Mapping[str, str]) -> Path:
    given = values['state_dir']
    if given is not None:
        return _path('state_dir', cast(str, given), environ)
    return _path('state_dir', environ.get('ROS_HOME') or '~/.ros', environ) / 'gateway_node'


def _scripts_dir(
    values: Mapping[str, ParameterValue | None], environ: Mapping[str, str]
) -> Path | None:
    if values['scripts.scripts_dir'] is None:
        return _state_dir(values, environ) / 'scripts'
    return _optional_path(values, 'scripts.scripts_dir', environ)


def _optional_path(
    values: Mapping[str, ParameterValue | None], name: str, environ: Mapping[str, str]
) -> Path | None:
    text = cast(str, values[name])
    return _path(name, text, environ) if text else None


def _path(name: str, text: str, environ: Mapping[str, str]) -> Path:
    """Return the absolute path that `text` names; a leading `~` is HOME of `environ`."""
    if text == '~' or text.startswith('~/'):
        home = environ.get('HOME')
        if not home:
            raise ParameterInvalid(name, text, 'an absolute path, as HOME is not set')
        text = home + text[1:]
    try:
        return Path(text).absolute()
    except FileNotFoundError as error:
        allowed = 'an absolute path, as the working directory is gone'
        raise ParameterInvalid(name, text, allowed) from error
