# SPDX-License-Identifier: Apache-2.0
"""The warm interpreter: supervision holds for what it forks, and it is what scripts would load."""

import asyncio
from collections.abc import Iterator
import dataclasses
import os
from pathlib import Path
import shutil
import signal

from helper_processes import SPAWNER
import pytest
from runner_support import (
    DEADLINE_SEC,
    Floor,
    floor_on,
    living_descendants,
    setup_file,
)
from waiting import wait_until
from warm_support import MODULES, ready, run, run_script, warm_floor_on

from gateway_node.child.process_tree import become_subreaper
from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import StopAction
from gateway_node.scripts.values import Limits, ScriptKind

WAITS = 'import time; print("up"); time.sleep(600)\n'
IGNORES_SIGTERM = f'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAITS}'
LEAVES_A_DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        for descriptor in range(10):
            try:
                os.close(descriptor)
            except OSError:
                pass
        time.sleep(600)
    os._exit(0)
os.wait()
print('up')
"""
KILLS_ITS_SUPERVISOR = 'import os, signal, time; os.kill(os.getppid(), signal.SIGKILL)\n' + WAITS
CHANGES_ITS_SUPERVISOR = """
import os, resource
resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (100, 100))
os.sched_setaffinity(os.getppid(), {0})
"""
HOGS_MEMORY = 'hog = []\nwhile True:\n    hog.append(bytearray(1 << 20))\n'
USES_THIRTY_MIB = 'x = bytearray(30 << 20)\nimport time; time.sleep(0.5); print(len(x))\n'
OPENS_FILES = """
import os, time
try:
    while True:
        os.open('/', os.O_RDONLY)
except OSError:
    time.sleep(600)
"""
BURNS = 'while True:\n    pass\n'
TELLS_LIMITS = 'import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n'


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """After each test no process may be left."""
    become_subreaper()
    before = [entry.pid for entry in living_descendants()]
    yield
    left = living_descendants(before)
    for entry in left:
        os.kill(entry.pid, signal.SIGKILL)
    assert left == []


@pytest.mark.timeout(180)
async def test_a_warm_script_is_stopped_and_limited_like_any_other(tmp_path: Path) -> None:
    """Time, stops, leftovers, lost supervisors, and each limit; and nothing is left after it."""
    async with warm_floor_on(tmp_path) as floor:
        assert await _stopped(floor, WAITS) == (EndCause.EXITED, signal.SIGTERM)
        assert await _stopped(floor, IGNORES_SIGTERM) == (EndCause.EXITED, signal.SIGKILL)
        outcome = (await run(floor, LEAVES_A_DAEMON)).outcome
        assert (outcome.exit_code, outcome.leftover_processes) == (0, 1)
        assert (await run(floor, KILLS_ITS_SUPERVISOR)).outcome.cause is EndCause.SUPERVISOR_LOST
        for content, limits, name in (
            (HOGS_MEMORY, Limits(memory_mb=64), 'memory_mb'),
            (OPENS_FILES, Limits(open_files=32), 'open_files'),
            (BURNS, Limits(cpu_sec=0.5), 'cpu_sec'),
        ):
            script = floor.script(content, ScriptKind.PYTHON, limits=limits)
            reached = (await run_script(floor, script)).outcome.limit
            assert reached is not None
            assert reached.name == name
        timed = floor.order(floor.script(WAITS, ScriptKind.PYTHON), timeout_sec=0.5)
        assert (await floor.run(timed))[0].cause is EndCause.TIMED_OUT


@pytest.mark.timeout(120)
async def test_memory_that_is_shared_counts_for_no_limit(tmp_path: Path) -> None:
    """What is loaded is not the script's; what it takes itself is."""
    async with warm_floor_on(tmp_path) as floor:
        script = floor.script(USES_THIRTY_MIB, ScriptKind.PYTHON, limits=Limits(memory_mb=60))
        found = await run_script(floor, script)
        use = found.outcome.resource_use
        assert (found.warm, found.outcome.exit_code) == (True, 0)
        assert use is not None
        assert 30 << 20 <= use.max_memory_bytes <= 60 << 20


@pytest.mark.timeout(120)
async def test_what_a_script_does_to_its_supervisor_reaches_no_other(tmp_path: Path) -> None:
    """Such a supervisor is not used again."""
    async with warm_floor_on(tmp_path) as floor:
        before = await run(floor, TELLS_LIMITS)
        assert (await run(floor, CHANGES_ITS_SUPERVISOR)).outcome.exit_code == 0
        after = await run(floor, TELLS_LIMITS)
        assert after.warm
        assert after.output.stdout == before.output.stdout


@pytest.mark.timeout(120)
async def test_scripts_outlive_their_interpreter_and_start_cold_without_it(tmp_path: Path) -> None:
    """A supervisor goes on without it; it is started again, and until then told as missing."""
    async with warm_floor_on(tmp_path) as floor:
        order = floor.order(floor.script(WAITS, ScriptKind.PYTHON))
        process = await floor.start(order)
        await floor.written(order, 'up')
        # What it has just forked is called as it is for a moment, and is no child of this process.
        spawners = [
            entry
            for entry in living_descendants()
            if entry.name == SPAWNER and entry.parent == os.getpid()
        ]
        newest = max(spawners, key=lambda entry: (entry.start_ticks, entry.pid))
        os.kill(newest.pid, signal.SIGSTOP)
        os.kill(newest.pid, signal.SIGKILL)
        await wait_until(lambda: floor.runner.warm_warnings, what='the interpreter is missed')
        assert not (await run(floor, 'print(1)')).warm
        await ready(floor, warned=True)
        assert (await run(floor, 'print(1)')).warm
        process.stop(StopAction.STOP)
        async with asyncio.timeout(DEADLINE_SEC):
            assert (await process.ended()).signal == signal.SIGTERM


@pytest.mark.timeout(120)
async def test_it_is_started_anew_for_another_environment_and_other_files(tmp_path: Path) -> None:
    """Neither a set-up file that changes nor a module that does is seen later than in a new one;
    what runs meanwhile is not disturbed."""
    library = tmp_path / 'library'
    library.mkdir()
    module = library / 'of_the_robot.py'
    module.write_text('VALUE = "old"\n')
    (library / 'sitecustomize.py').write_text('import os\nos.environ["BY_THE_SITE"] = "set"\n')
    sets = f'export PYTHONPATH={library}:$PYTHONPATH FLAVOUR='
    file = setup_file(tmp_path, f'{sets}vanilla\n')
    asks = (
        'import os, of_the_robot\n'
        'print(os.environ["FLAVOUR"], of_the_robot.VALUE, os.environ["BY_THE_SITE"])\n'
    )
    async with warm_floor_on(tmp_path, ['of_the_robot'], [file]) as floor:
        first = await run(floor, asks)
        assert (first.warm, first.output.stdout) == (True, 'vanilla old set\n')
        order = floor.order(floor.script(WAITS, ScriptKind.PYTHON))
        process = await floor.start(order)
        setup_file(tmp_path, f'{sets}cherry\n')
        assert (await run(floor, asks)).output.stdout == 'cherry old set\n'
        await ready(floor)
        await asyncio.sleep(1.0)  # the longest time in which the files are not looked at
        module.write_text('VALUE = "new one"\n')
        second = await run(floor, asks)
        assert (second.warm, second.output.stdout) == (False, 'cherry new one set\n')
        await ready(floor)
        third = await run(floor, asks)
        assert (third.warm, third.output.stdout) == (True, 'cherry new one set\n')
        process.stop(StopAction.STOP)
        assert (await process.ended()).signal == signal.SIGTERM


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ('module', 'reason'),
    [
        (
            'import os\nos.register_at_fork(after_in_child=os.abort)\n',
            'a fork of what has their modules loaded died of signal 6',
        ),
        ('raise RuntimeError("boom")\n', 'of_no_use cannot be loaded: RuntimeError: boom'),
    ],
    ids=['crashes in forks', 'cannot be imported'],
)
async def test_it_stays_off_where_a_module_is_of_no_use(
    tmp_path: Path, module: str, reason: str
) -> None:
    """As with an rmw that crashes in a fork: scripts start cold, and it is told why."""
    (tmp_path / 'of_no_use.py').write_text(module)
    file = setup_file(tmp_path, f'export PYTHONPATH={tmp_path}:$PYTHONPATH\n')
    async with floor_on(tmp_path, [file], warm_modules=['of_no_use']) as floor:
        floor.runner.warm_up()
        await wait_until(lambda: floor.runner.warm_warnings, what='the trial is over')
        (warning,) = floor.runner.warm_warnings
        assert f'Python scripts start cold: {reason}' in warning
        assert floor.runner.warm_state == 'off'
        found = await run(floor, 'print(1)')
        assert (found.warm, found.output.stdout) == (False, '1\n')


@pytest.mark.timeout(120)
async def test_a_script_that_would_find_something_else_starts_cold(tmp_path: Path) -> None:
    """It asks not to be warm, for an option, a variable, or has a neighbour of a module's name."""
    async with warm_floor_on(tmp_path) as floor:
        assert not (await run(floor, 'print(1)', warm=False)).warm
        sets = floor.script(
            '', ScriptKind.PYTHON, managed=True, environment={'PYTHONHASHSEED': '1'}
        )
        assert not (await run_script(floor, sets)).warm
        neighbour = tmp_path / 'json.py'
        neighbour.write_text('x = "of the neighbour"\n')
        managed = await run(floor, 'import json; print(json.x)', managed=True)
        assert (managed.warm, managed.output.stdout) == (False, 'of the neighbour\n')
        neighbour.rename(tmp_path / 'nobody_has_this.py')
        asks = 'import sys, nobody_has_this; print(nobody_has_this.x, sys.path[0])'
        managed = await run(floor, asks, managed=True)
        assert (managed.warm, managed.output.stdout) == (True, f'of the neighbour {tmp_path}\n')


@pytest.mark.timeout(120)
async def test_a_script_whose_folder_does_not_answer_is_given_up(tmp_path: Path) -> None:
    """As one that hangs in its exec: its supervisor heeds time and stops meanwhile."""
    folder = tmp_path / 'silent'
    folder.mkdir()
    module = tmp_path / 'mounts.py'
    module.write_text(
        'import os, time\n'
        'list_folder = os.listdir\n'
        'def listdir(path="."):\n'
        '    if str(path).endswith("/silent"):\n'
        '        time.sleep(600)\n'
        '    return list_folder(path)\n'
        'os.listdir = listdir\n'
    )
    file = setup_file(tmp_path, f'export PYTHONPATH={tmp_path}:$PYTHONPATH\n')
    async with warm_floor_on(tmp_path, ['mounts'], [file]) as floor:
        script = floor.script('print(1)', ScriptKind.PYTHON, managed=True)
        path = shutil.move(script.path, folder)
        script = dataclasses.replace(script, path=Path(path))
        with pytest.raises(SpawnFailed, match='it had not begun after'):
            await floor.start(floor.order(script, timeout_sec=0.5))


@pytest.mark.timeout(120)
async def test_a_folder_of_the_path_that_was_made_since_is_looked_into(tmp_path: Path) -> None:
    """As an overlay that is built while the interpreter waits."""
    overlay = tmp_path / 'overlay'
    file = setup_file(tmp_path, f'export PYTHONPATH={overlay}:$PYTHONPATH\n')
    async with warm_floor_on(tmp_path, MODULES, [file]) as floor:
        overlay.mkdir()
        (overlay / 'nobody_had_this.py').write_text('x = "found"\n')
        found = await run(floor, 'import nobody_had_this; print(nobody_had_this.x)')
        assert (found.warm, found.output.stdout) == (True, 'found\n')


@pytest.mark.timeout(120)
async def test_no_two_scripts_have_the_same_randomness(tmp_path: Path) -> None:
    """Of whatever was loaded before they were forked."""
    asks = (
        'import multiprocessing, random, secrets, tempfile, uuid, numpy.random\n'
        'print(random.random(), numpy.random.rand(), uuid.uuid4(), uuid.uuid1(),\n'
        '      tempfile.mktemp(), secrets.token_hex(),\n'
        '      multiprocessing.current_process().authkey.hex(), sep="\\n")\n'
    )
    async with warm_floor_on(tmp_path, ['rclpy', 'numpy.random', 'multiprocessing']) as floor:
        runs = [await run(floor, asks) for _ in range(3)]
    assert all(each.warm for each in runs)
    told = [line for each in runs for line in each.output.stdout.splitlines()]
    assert len(told) == len(set(told)) == 21


async def _stopped(floor: Floor, content: str) -> tuple[EndCause, int | None]:
    order = floor.order(floor.script(content, ScriptKind.PYTHON), grace_sec=0.5)
    process = await floor.start(order)
    await floor.written(order, 'up')
    process.stop(StopAction.STOP)
    outcome = await process.ended()
    assert process.warm
    return outcome.cause, outcome.signal


@pytest.mark.timeout(120)
async def test_the_end_is_short_where_nothing_is_left_at_work(tmp_path: Path) -> None:
    """Threads that ROS keeps without any work do not count, one of the script's does."""
    asks = (
        'import sys\n'
        'def is_quiet():\n'
        '    frame = sys._getframe()\n'
        '    while "warm_exit" not in frame.f_locals:\n'
        '        frame = frame.f_back\n'
        '    return frame.f_locals["warm_exit"]._is_quiet()\n'
        'import rclpy, threading, time\n'
        'rclpy.init()\n'
        'node = rclpy.create_node("quiet")\n'
        'print(is_quiet())\n'
        'node.destroy_node()\n'
        'rclpy.shutdown()\n'
        'print(is_quiet())\n'
        'threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n'
        'print(is_quiet())\n'
    )
    async with warm_floor_on(tmp_path) as floor:
        found = await run(floor, asks)
        assert (found.warm, found.output.stdout) == (True, 'False\nTrue\nFalse\n')
        assert found.outcome.exit_code == 0
