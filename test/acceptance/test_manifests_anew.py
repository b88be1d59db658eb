# SPDX-License-Identifier: Apache-2.0
"""SIGHUP has a gateway read its manifests anew, whatever they are by then."""

import os
from pathlib import Path
import signal

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import being_read, gateway, GatewayProcess


def write(folder: Path, *, component: str, script: str) -> None:
    """Declare one component and one script of it."""
    (folder / 'check.sh').write_text('echo checked\n')
    (folder / 'entities.yaml').write_text(f'components: [{{id: {component}, nodes: ["/x/*"]}}]\n')
    (folder / 'scripts.yaml').write_text(scripts_of(component, script))


def scripts_of(component: str, script: str) -> str:
    """Return a scripts manifest."""
    return (
        f'scripts: [{{id: {script}, path: check.sh, entities: components/{component}, '
        f'instances: [{{name: of_{script}}}]}}]\n'
    )


def declared(api: GatewayProcess) -> dict[str, list[str]]:
    """Return the declared components that are served, and the ids of their scripts."""
    components = [each for each in api.body('/components')['items'] if each['kind'] == 'manifest']
    answers = {each['id']: api.request('GET', f'{each["href"]}/scripts') for each in components}
    return {
        component_id: [script['id'] for script in answer.body['items']]
        for component_id, answer in answers.items()
        if answer.status == 200  # else it went meanwhile
    }


def answer(descriptor: int, content: str) -> None:
    """Let who reads a pipe have this content, as from a mount that answers at last."""
    os.write(descriptor, content.encode())
    os.close(descriptor)


def test_manifests_are_read_anew_at_sighup(tmp_path: Path) -> None:
    """Good ones are taken, a mistake leaves both, and one that hangs holds up nothing else.

    A SIGHUP that comes while one is being read is done once afterwards.
    """
    write(tmp_path, component='arm', script='first')
    entities, scripts = tmp_path / 'entities.yaml', tmp_path / 'scripts.yaml'
    parameters = {'entities.manifest': str(entities), 'scripts.manifest': str(scripts)}
    with gateway(tmp_path, parameters) as api:
        assert declared(api) == {'arm': ['first']}
        href = api.start('components/arm', 'first')
        api.wait_for_status(href, 'completed')

        write(tmp_path, component='leg', script='second')
        api.signal(signal.SIGHUP)
        # What was executed on the component keeps it, offline.
        wait_for(
            lambda: declared(api),
            lambda found: found == {'leg': ['second'], 'arm': []},
            what='the new manifests are taken',
        )
        assert api.body(href)['status'] == 'completed'
        instances = api.wait_for(
            '/components/leg/scripts/second/instances', lambda body: body['items'], what='its own'
        )
        (instance,) = instances['items']
        assert (instance['name'], instance['managed']) == ('of_second', True)
        gone = api.request('GET', '/components/arm/scripts/first/instances/of_first')
        assert gone.status == 404

        write(tmp_path, component='hand', script='third')
        entities.write_text('components: 7\n')
        api.signal(signal.SIGHUP)
        health = api.wait_for('/health', lambda body: body['warnings'], what='it is said')
        assert health['warnings'] == [
            f'what the manifests said before holds: {entities}: components is 7; allowed: a list'
        ]
        assert declared(api) == {'leg': ['second'], 'arm': []}
        wait_for(lambda: api.log, lambda log: health['warnings'][0] in log, what='the log too')

        write(tmp_path, component='hand', script='third')
        scripts.unlink()
        os.mkfifo(scripts)
        api.signal(signal.SIGHUP)
        first = being_read(scripts)
        for _ in range(3):
            api.signal(signal.SIGHUP)
            assert declared(api) == {'leg': ['second'], 'arm': []}
        scripts.unlink()
        os.mkfifo(scripts)
        answer(first, scripts_of('hand', 'third'))
        answer(being_read(scripts), scripts_of('hand', 'fourth'))
        wait_for(
            lambda: declared(api),
            lambda found: found == {'hand': ['fourth'], 'arm': []},
            what='what was there at the last SIGHUP is taken',
        )
        assert api.body('/health')['warnings'] == []
