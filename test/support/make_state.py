# SPDX-License-Identifier: Apache-2.0
"""Makes a state directory with something of everything, by the gateway of this checkout.

`python test/support/make_state.py NAME` writes `NAME.tar.gz` and `NAME.json` into
`fixtures/`: the directory as its last gateway, killed, left it, and what that one answered.
It needs a ROS graph; run it where the host is called `robot`.
"""

from hashlib import sha256
import json
import os
from pathlib import Path
import sys
import tarfile
import tempfile
import time
from typing import Any

from gateway_process import BASE, gateway, GatewayProcess
from killing import kill
from ros_support import bare_node

FOLDER = Path(__file__).parents[1] / 'fixtures'
HOST = 'components/robot'
APP = 'apps/temp_sensor'
FINAL = ('completed', 'failed', 'terminated')
FLOODS = 'echo begins >&2\nseq 1 25000\necho ends >&2\n'
GIVES_RESULT = """
from gateway_node.script import parameters, progress, result

progress(40, 'measuring')
print('measured')
result({'depth': parameters()['depth'], 'points': [1.5, None, 'ä']})
"""
NEW_EACH_TIME = ('python', 'gateway.sqlite3-shm')
LONG_TEXT = 4096
SLEEPS = 'echo ready\nsleep 600\n'


class Maker:
    """The lives of the gateways that write one state directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hrefs: list[str] = []

    def make(self) -> dict[str, Any]:
        """Write the directory; return what the last gateway answered before it was killed."""
        with bare_node('temp_sensor', '/powertrain/engine'), gateway(self._folder) as api:
            self._ends(api)
            self._schedules(api)
            kill(api)
        with gateway(self._folder):
            """Starts an execution by each schedule, and fails what waits for the app."""
        with gateway(self._folder):
            """Skips each schedule: it is too soon."""
        patient = {'restart.min_interval_sec': 0, 'restart.entity_timeout_sec': 600}
        with gateway(self._folder, patient) as api:
            return self._last_life(api)

    def _ends(self, api: GatewayProcess) -> None:
        """Leave an end of every kind, and one execution that runs."""
        api.wait_for_app('temp_sensor')
        for content, fields in (
            ('echo to stdout\necho to stderr >&2\n', {'arguments': ['-v', 'two words']}),
            (FLOODS, {}),
            ('echo \'{"reading": 42}\'\n', {'parameters': {'depth': 3, 'name': 'ä'}}),
            ('echo 70 >&3\necho it is broken >&2\nexit 3\n', {}),
            ('kill -SEGV $$\n', {}),
            ('echo one\r\necho two\r\n', {}),
            ('echo gone on\nsleep 600 & exit 0\n', {}),
            ('true\n', {}),
            ('echo no result > "$GATEWAY_RESULT"\n', {}),
        ):
            self._ended(api, HOST, content, **fields)
        timeout = api.upload(APP, SLEEPS, timeout_sec=1)
        self._wait(api, api.start(APP, timeout))
        script = api.upload(HOST, GIVES_RESULT, name='measure.py', tags=['brakes'])
        self._wait(api, api.start(HOST, script, parameters={'depth': 7}))
        stopped = self._ready(api, HOST, api.upload(HOST, SLEEPS))
        assert api.request('PUT', stopped, json_body={'action': 'stop'}).status == 200
        self._wait(api, stopped)
        removed = self._hrefs.pop(0)
        assert api.request('DELETE', removed).status == 204
        self._ready(api, APP, api.upload(APP, SLEEPS))

    def _schedules(self, api: GatewayProcess) -> None:
        """Leave schedules, one of an app that will be offline."""
        for entity, execution_type in (
            (HOST, 'on_restart'),
            (HOST, 'now_and_on_restart'),
            (APP, 'on_restart'),
        ):
            script = api.upload(entity, 'echo scheduled\n', description=f'of {execution_type}')
            href = api.start(entity, script, execution_type=execution_type)
            if execution_type == 'now_and_on_restart':
                self._wait(api, href)
                href = api.body(href)['schedule']
            self._hrefs.append(href)

    def _last_life(self, api: GatewayProcess) -> dict[str, Any]:
        """Leave a schedule that is to run once, a script with two versions, one execution that
        runs in the first of them and one that waits for its entity; then be killed."""
        replaced = api.upload(HOST, SLEEPS, name='versions.sh')
        self._ready(api, HOST, replaced)
        second = api.send_form(
            'PUT', f'/{HOST}/scripts/{replaced}', 'echo second\n', name='versions.sh'
        )
        assert second.status == 200, second
        once = api.upload(HOST, 'echo once\n', description='of once_on_restart')
        self._hrefs.append(api.start(HOST, once, execution_type='once_on_restart'))
        children = self._children(api)
        for href in children:
            if HOST in href:
                self._wait(api, href)
        answers = {path: api.body(path) for path in self._paths(api)}
        kill(api)
        return answers

    def _children(self, api: GatewayProcess) -> list[str]:
        """Return the hrefs of the executions that schedules have started."""
        scripts = {href.rpartition('/executions/')[0] for href in self._hrefs}
        lists = [api.body(f'{script}/executions')['items'] for script in scripts]
        return [
            each['href']
            for items in lists
            for each in items
            if 'parent' in each and 'scheduled' not in each
        ]

    def _paths(self, api: GatewayProcess) -> list[str]:
        """Return all that the API shows of scripts and executions."""
        paths = [f'{BASE}/apps', f'{BASE}/components']
        for entity in (HOST, APP):
            paths.append(f'{BASE}/{entity}/scripts')
            for script in api.body(f'/{entity}/scripts')['items']:
                paths += [script['href'], f'{script["href"]}/executions']
                executions = api.body(f'{script["href"]}/executions')['items']
                paths += [each['href'] for each in executions]
        return paths

    def _ended(self, api: GatewayProcess, entity: str, content: str, **fields: Any) -> None:
        self._wait(api, api.start(entity, api.upload(entity, content), **fields))

    def _wait(self, api: GatewayProcess, href: str) -> None:
        api.wait_for_status(href, *FINAL)
        self._hrefs.append(href)

    def _ready(self, api: GatewayProcess, entity: str, script: str) -> str:
        href = api.start(entity, script)
        api.wait_for(href, lambda body: 'ready' in body['output']['stdout'], what='it is ready')
        return href


def main(name: str) -> None:
    """Write the fixture of a name."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Maker(Path(folder)).make()
        state = Path(folder) / 'state'
        # The supervisors end what ran, and write how, after the gateway's death.
        deadline = time.monotonic() + 30
        while len(list(state.glob('executions/*/end.json'))) < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        text = json.dumps(shortened(answers), indent=1, sort_keys=True, ensure_ascii=False)
        (FOLDER / f'{name}.json').write_text(f'{text}\n', encoding='utf-8')
        with tarfile.open(FOLDER / f'{name}.tar.gz', 'w:gz') as archive:
            for path in sorted(state.rglob('*')):
                name_inside = path.relative_to(state)
                if name_inside.parts[0] not in NEW_EACH_TIME:
                    archive.add(path, name_inside, recursive=False, filter=_nameless)


def shortened(answer: Any) -> Any:
    """Return an answer in which a digest stands for each long text."""
    if isinstance(answer, dict):
        return {name: shortened(each) for name, each in answer.items()}
    if isinstance(answer, list):
        return [shortened(each) for each in answer]
    if isinstance(answer, str) and len(answer) > LONG_TEXT:
        return f'{len(answer)} characters, SHA-256 {sha256(answer.encode()).hexdigest()}'
    return answer


def _nameless(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ''
    entry.mtime = 0
    return entry


if __name__ == '__main__':
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    main(sys.argv[1])
