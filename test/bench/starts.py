# SPDX-License-Identifier: Apache-2.0
"""What it costs to start a script: the gateway's way against a bare spawn of the same."""

from collections.abc import Iterator, Sequence
import contextlib
import functools
import os
from pathlib import Path
import subprocess
import sys
import time

from bench.bare_runner import BareRunner
from bench.figures import at_most, elapsed_ms, interleaved, Line, ratio, Series, surplus
from bench.gateways import Client, client, Signpost, signpost, write_manifest
from gateway_node.scripts.values import ScriptKind

STARTS = 40
SPAWN_GOAL_MS = 5.0
"""Of the issue: from a request to the script started in `about 5 ms`."""
SOURCED_STARTS = 20
SOURCED_SHARE_GOAL = 0.1
"""Of what sourcing costs each time; the captured environment should cost nothing."""
AT_ONCE = 20
AT_ONCE_ROUNDS = 5
AT_ONCE_GOAL = 2.0
"""Twenty that sleep need no more processors than one does; one after another would be 20."""

SH = 'echo x > "$1"\n'
PYTHON = "import sys\nopen(sys.argv[1], 'w').write('x')\n"
NAP = 'sleep 0.5\n'


def start_cost(folder: Path) -> Iterator[Line]:
    """POST to 202, and to the script's first line, against `subprocess` and the same."""
    commands = {
        # As small as true, and it tells that it started: it copies its parameters, `{}`.
        ScriptKind.EXECUTABLE: ('/usr/bin/tee',),
        ScriptKind.SH: ('/bin/sh', _write(folder / 'first_line.sh', SH)),
        ScriptKind.PYTHON: (sys.executable, _write(folder / 'first_line.py', PYTHON)),
    }
    manifest = write_manifest(folder, {kind.value: words[-1] for kind, words in commands.items()})
    with (
        client(folder, {'scripts.manifest': manifest}) as api,
        signpost(folder) as post,
        contextlib.closing(BareRunner(folder / 'bare')) as runner,
    ):
        for kind, command in commands.items():
            accepted: list[float] = []
            through, alone, bare = interleaved(
                STARTS,
                functools.partial(_start, api, kind.value, post, accepted),
                functools.partial(runner.start, kind, command[-1], post),
                functools.partial(_spawn, command, post),
            )
            name = kind.value
            yield Line(
                figure=f'{name}: POST to first line',
                series=through,
                ratio=ratio(through, bare),
            )
            yield Line(figure=f'{name}: of that, POST to 202', series=Series(values=accepted[1:]))
            yield Line(
                figure=f'{name}: runner alone to first line',
                series=alone,
                ratio=ratio(alone, bare),
                goal=at_most(SPAWN_GOAL_MS, surplus(alone, bare), 'more than bare', 'ms'),
            )
            yield Line(figure=f'{name}: bare spawn to first line', series=bare)


def environment_cost(folder: Path) -> Iterator[Line]:
    """Starts in a captured environment against a bash that sources the set-up file each time."""
    setup_file = _workspace(folder)
    script = _write(folder / 'first_line.sh', SH)
    manifest = write_manifest(folder, {'sh': script})
    parameters = {'scripts.manifest': manifest}
    sourced = {**parameters, 'environment.setup_files': [str(setup_file)]}
    line = f'. {setup_file}; exec /bin/sh {script} "$0"'
    with (
        client(folder / 'plain', parameters) as plain,
        client(folder / 'sourced', sourced) as api,
        signpost(folder) as post,
    ):
        captured, without, each_time, bare = interleaved(
            SOURCED_STARTS,
            functools.partial(_start, api, 'sh', post, []),
            functools.partial(_start, plain, 'sh', post, []),
            functools.partial(_spawn, ('/bin/bash', '--norc', '-c', line), post),
            functools.partial(_spawn, ('/bin/sh', script), post),
        )
    yield Line(
        figure='POST to first line, captured environment',
        series=captured,
        ratio=ratio(captured, each_time),
        goal=at_most(
            SOURCED_SHARE_GOAL * surplus(each_time, bare),
            surplus(captured, without),
            'more than without',
            'ms',
        ),
    )
    yield Line(figure='POST to first line, no set-up file', series=without)
    yield Line(figure='bare bash that sources each time', series=each_time)
    yield Line(figure='bare sh', series=bare)


def twenty_at_once(folder: Path) -> Iterator[Line]:
    """Twenty executions begun together, to the last one's end, against one alone."""
    manifest = write_manifest(folder, {'nap': _write(folder / 'nap.sh', NAP)})
    with client(folder, {'scripts.manifest': manifest}) as api:
        many, one = interleaved(
            AT_ONCE_ROUNDS,
            functools.partial(_all_ended, api, 'nap', AT_ONCE),
            functools.partial(_all_ended, api, 'nap', 1),
        )
    times = ratio(many, one)
    yield Line(
        figure=f'{AT_ONCE} at once, `sleep 0.5`, to the last end',
        series=many,
        ratio=times,
        goal=at_most(AT_ONCE_GOAL, times, 'of one alone'),
    )
    yield Line(figure='one alone', series=one)


def _write(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


def _start(api: Client, script_id: str, post: Signpost, accepted: list[float]) -> float:
    """Start a script; return the milliseconds to its first line, note those to the 202."""
    begun = time.perf_counter()
    api.send_start(script_id, str(post.path))
    # The script is started after the answer, so that this wait takes nothing from it.
    api.receive(202)
    accepted.append((time.perf_counter() - begun) * 1000)
    try:
        post.wait()
    except TimeoutError as error:
        raise RuntimeError(f'{api.executions(script_id, 1)}') from error
    total = (time.perf_counter() - begun) * 1000
    api.wait_ended(script_id)
    return total


def _spawn(command: Sequence[str], post: Signpost) -> float:
    """Spawn a command with the signpost as its argument; return the time to its first line."""
    reading, writing = os.pipe()
    os.write(writing, b'{}')
    os.close(writing)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(post.path)], stdin=reading, stdout=subprocess.DEVNULL
    )
    post.wait()
    total = (time.perf_counter() - begun) * 1000
    os.close(reading)
    if process.wait() != 0:
        raise RuntimeError(f'{command} ended with {process.returncode}')
    return total


def _all_ended(api: Client, script_id: str, count: int) -> float:
    def start_and_wait() -> None:
        for _ in range(count):
            api.send_start(script_id)
            api.receive(202)
        api.wait_ended(script_id, count)

    return elapsed_ms(start_and_wait)


def _workspace(folder: Path) -> Path:
    """Build a workspace of one Python package with colcon; return its set-up file."""
    colcon = Path(sys.executable).with_name('colcon')
    package = folder / 'ws' / 'src' / 'brake_checks'
    (package / 'brake_checks').mkdir(parents=True)
    (package / 'brake_checks' / '__init__.py').touch()
    (package / 'setup.py').write_text(
        'from setuptools import setup\n'
        'setup(name="brake_checks", version="1.0", packages=["brake_checks"])\n'
    )
    path = f'{colcon.parent}:{os.environ["PATH"]}'
    built = subprocess.run(
        (str(colcon), 'build'),
        cwd=folder / 'ws',
        env={**os.environ, 'PATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise RuntimeError(f'colcon could not build a workspace: {built.stderr}')
    # setup.bash would need a plug-in of colcon; it differs only in finding its own folder.
    return folder / 'ws' / 'install' / 'setup.sh'
