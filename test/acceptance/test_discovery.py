# SPDX-License-Identifier: Apache-2.0
"""The robot's graph as entities: nodes of other processes that appear, die and return."""

from pathlib import Path
import re
import signal
import socket
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from ros_support import bare_node

NAMESPACE = '/powertrain/engine'
MANIFEST = """\
components:
  - id: brakes_ecu
    name: Brakes ECU
    nodes: ['/chassis/brakes/*']
functions:
  - id: monitoring
    name: Monitoring
    namespaces: ['/powertrain/*', '/chassis/*']
"""


def apps(api: GatewayProcess) -> dict[str, bool]:
    """Return the ids of all apps, and whether each is online."""
    return {app['id']: app['online'] for app in api.body('/apps')['items']}


def ids(api: GatewayProcess, path: str) -> list[str]:
    """Return the ids of a list."""
    return [item['id'] for item in api.body(path)['items']]


def wait_for_namespace(api: GatewayProcess, app_id: str, namespace: str) -> Any:
    """Wait until an app is online; check that it is the node of this namespace."""
    api.wait_for_app(app_id)
    detail = api.body(f'/apps/{app_id}')
    assert detail['namespace'] == namespace
    return detail


def test_a_node_appears_dies_and_returns_under_the_same_id(tmp_path: Path) -> None:
    """An app goes offline with its node, stays addressable, and is the same one afterwards."""
    with gateway(tmp_path) as api:
        with bare_node('temp_sensor', NAMESPACE):
            detail = wait_for_namespace(api, 'temp_sensor', NAMESPACE)
            assert detail['fully_qualified_name'] == f'{NAMESPACE}/temp_sensor'
            assert detail['scripts'] == '/api/v1/apps/temp_sensor/scripts'
            script_id = api.upload('apps/temp_sensor', 'echo works\n')
        api.wait_for_app('temp_sensor', online=False)
        assert api.body('/apps/temp_sensor')['online'] is False
        href = api.start('apps/temp_sensor', script_id)
        ended = api.wait_for_status(href, 'completed')
        assert ended['parameters']['stdout'] == 'works\n'
        with bare_node('temp_sensor', NAMESPACE):
            assert wait_for_namespace(api, 'temp_sensor', NAMESPACE) == detail
            assert ids(api, '/apps/temp_sensor/scripts') == [script_id]


@pytest.mark.timeout(120)
def test_a_killed_node_goes_offline_when_the_graph_forgets_it(tmp_path: Path) -> None:
    """SIGKILL leaves the node in the DDS graph for some 20 s; then its app is offline."""
    with gateway(tmp_path) as api, bare_node('temp_sensor', NAMESPACE) as node:
        api.wait_for_app('temp_sensor')
        node.send_signal(signal.SIGKILL)
        api.wait_for_app('temp_sensor', online=False)
        with bare_node('temp_sensor', NAMESPACE):
            api.wait_for_app('temp_sensor')


def test_with_the_profile_of_the_package_nobody_listens_in_shared_memory(tmp_path: Path) -> None:
    """Nodes then go on writing to no dead gateway (docs/operating.md, "Nodes that go")."""
    with gateway(tmp_path) as api, bare_node('temp_sensor', NAMESPACE) as node:
        api.wait_for_app('temp_sensor')
        for pid in (api.process.pid, node.pid):
            assert not re.search(r'/dev/shm/fast\w+_port', Path(f'/proc/{pid}/maps').read_text())


def test_a_node_that_returns_under_another_namespace_is_another_app(tmp_path: Path) -> None:
    """The id stays with its first holder; the newcomer gets its namespace in front."""
    with gateway(tmp_path) as api:
        with bare_node('temp_sensor', NAMESPACE):
            wait_for_namespace(api, 'temp_sensor', NAMESPACE)
        api.wait_for_app('temp_sensor', online=False)
        with bare_node('temp_sensor', '/chassis/brakes'):
            wait_for_namespace(api, 'chassis_brakes_temp_sensor', '/chassis/brakes')
            assert apps(api) == {'temp_sensor': False, 'chassis_brakes_temp_sensor': True}
            with bare_node('temp_sensor', NAMESPACE):
                wait_for_namespace(api, 'temp_sensor', NAMESPACE)
                assert apps(api) == {'temp_sensor': True, 'chassis_brakes_temp_sensor': True}


def test_ids_outlive_the_gateway_while_scripts_hang_on_them(tmp_path: Path) -> None:
    """After a restart the offline holder still has its id, whoever comes meanwhile."""
    with gateway(tmp_path) as api, bare_node('temp_sensor', NAMESPACE):
        wait_for_namespace(api, 'temp_sensor', NAMESPACE)
        script_id = api.upload('apps/temp_sensor', 'true\n')
        component_script_id = api.upload('components/powertrain_engine', 'true\n')
    with bare_node('temp_sensor', '/chassis/brakes'), gateway(tmp_path) as again:
        wait_for_namespace(again, 'chassis_brakes_temp_sensor', '/chassis/brakes')
        assert apps(again) == {'temp_sensor': False, 'chassis_brakes_temp_sensor': True}
        assert ids(again, '/apps/temp_sensor/scripts') == [script_id]
        assert ids(again, '/apps/chassis_brakes_temp_sensor/scripts') == []
        component = again.body('/components/powertrain_engine')
        assert (component['online'], component['namespace']) == (False, NAMESPACE)
        assert ids(again, '/components/powertrain_engine/scripts') == [component_script_id]


def test_hidden_nodes_tools_and_the_gateway_are_no_apps(tmp_path: Path) -> None:
    """A leading `_` in the name or the namespace hides; the gateway is not its own app.

    Nor are the nodes that `entities.ignored_nodes` name.
    """
    with (
        gateway(tmp_path) as api,
        bare_node('_hidden', NAMESPACE),
        bare_node('inside', '/_private/engine'),
        bare_node('launch_ros_4711'),
        bare_node('seen', NAMESPACE),
    ):
        api.wait_for_app('seen')
        assert apps(api) == {'seen': True}
        assert 'private_engine' not in ids(api, '/components')
        assert ids(api, '/areas') == ['powertrain']


def test_a_renamed_gateway_is_still_no_app(tmp_path: Path) -> None:
    """The gateway knows itself under the name and namespace that it was given."""
    renamed = ('-r', '__node:=diagnostics', '-r', '__ns:=/robot1')
    with gateway(tmp_path, {}, *renamed) as api, bare_node('seen'):
        api.wait_for_app('seen')
        assert apps(api) == {'seen': True}


def test_components_areas_and_functions_follow_the_graph_and_the_manifest(
    tmp_path: Path,
) -> None:
    """The host first, declared components next, namespaces after; a node is located on one."""
    manifest = tmp_path / 'entities.yaml'
    manifest.write_text(MANIFEST)
    with (
        gateway(tmp_path, {'entities.manifest': str(manifest)}) as api,
        bare_node('temp_sensor', NAMESPACE),
        bare_node('caliper', '/chassis/brakes'),
        bare_node('lonely'),
    ):
        for app_id in ('temp_sensor', 'caliper', 'lonely'):
            api.wait_for_app(app_id)
        host, *others = api.body('/components')['items']
        assert (host['kind'], host['name']) == ('host', socket.gethostname())
        assert [(each['id'], each['kind']) for each in others] == [
            ('brakes_ecu', 'manifest'),
            ('chassis_brakes', 'namespace'),
            ('powertrain_engine', 'namespace'),
        ]
        assert ids(api, f'/components/{host["id"]}/hosts') == ['caliper', 'lonely', 'temp_sensor']
        assert ids(api, '/components/brakes_ecu/hosts') == ['caliper']
        assert ids(api, '/components/powertrain_engine/hosts') == ['temp_sensor']
        assert ids(api, '/apps/caliper/is-located-on') == ['brakes_ecu']
        assert ids(api, '/apps/temp_sensor/is-located-on') == ['powertrain_engine']
        assert ids(api, '/apps/lonely/is-located-on') == [host['id']]
        assert ids(api, '/areas') == ['chassis', 'powertrain']
        assert ids(api, '/areas/chassis/components') == ['brakes_ecu', 'chassis_brakes']
        assert api.body('/areas/chassis')['components'] == '/api/v1/areas/chassis/components'
        assert ids(api, '/functions') == ['monitoring']
        assert ids(api, '/functions/monitoring/hosts') == ['caliper', 'temp_sensor']


def test_every_href_of_a_list_leads_somewhere(tmp_path: Path) -> None:
    """Whatever a list, a detail or the root names can be asked for."""
    manifest = tmp_path / 'entities.yaml'
    manifest.write_text(MANIFEST)
    with (
        gateway(tmp_path, {'entities.manifest': str(manifest)}) as api,
        bare_node('temp_sensor', NAMESPACE),
    ):
        api.wait_for_app('temp_sensor')
        waiting, seen = ['/api/v1/'], set[str]()
        while waiting:
            path = waiting.pop()
            seen.add(path)
            waiting += sorted(set(paths_in(api.body(path))) - seen - set(waiting))
        assert '/api/v1/apps/temp_sensor/scripts' in seen
        assert '/api/v1/functions/monitoring/hosts' in seen
        assert '/api/v1/areas/powertrain/components' in seen


def paths_in(value: Any) -> list[str]:
    """Return every path below the base that stands in a JSON value, but those of examples."""
    if isinstance(value, dict):
        told = (each for name, each in value.items() if name not in ('example', 'examples'))
        return [path for each in told for path in paths_in(each)]
    if isinstance(value, list):
        return [path for each in value for path in paths_in(each)]
    return [value] if isinstance(value, str) and value.startswith('/api/v1/') else []


def test_health_tells_versions_and_counts(tmp_path: Path) -> None:
    """Status, uptime, versions of what matters, and how many entities and executions there are."""
    with gateway(tmp_path) as api, bare_node('temp_sensor', NAMESPACE):
        api.wait_for_app('temp_sensor')
        href = api.start('apps/temp_sensor', api.upload('apps/temp_sensor', 'true\n'))
        api.wait_for_status(href, 'completed')
        health = api.body('/health')
        assert health['status'] == 'ok'
        assert {'gateway', 'ros_distribution', 'rmw', 'sqlite'} <= health['versions'].keys()
        assert all(health['versions'].values())
        assert health['entities'] == {'apps': 1, 'apps_online': 1, 'components': 2}
        assert health['executions'] == {
            'prepared': 0,
            'running': 0,
            'completed': 1,
            'failed': 0,
            'terminated': 0,
        }
        earlier = health['uptime_sec']
        wait_for(lambda: api.body('/health')['uptime_sec'], lambda now: now > earlier, what='time')
        info = api.body('/version-info')
        assert info['items'] == info['sovd_info']
        assert info['items'][0]['base_uri'] == '/api/v1'
