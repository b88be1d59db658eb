# SPDX-License-Identifier: Apache-2.0
"""Set-up files that are odd or wrong, in a real bash: what is taken, and what is tried again."""

import asyncio
from pathlib import Path
import threading
import time

from fakes import FakeClock
import pytest
from runner_support import DEADLINE_SEC, Floor, floor_on, setup_file
from waiting import wait_until

from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.process import sourced_environment


class SilentMount:
    """Holds whoever looks at a set-up file while `silent`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.answers.set()
        look = sourced_environment._stamp_of

        def stamp_of(path: Path) -> object:
            self.answers.wait(2 * DEADLINE_SEC)
            return look(path)

        monkeypatch.setattr(sourced_environment, '_stamp_of', stamp_of)
        monkeypatch.setattr(sourced_environment, '_PATIENCE_SEC', 0.2)


async def printed(floor: Floor, text: str = 'echo "$ONE"') -> str:
    """Run a script; return what it printed."""
    _, output = await floor.run(floor.order(floor.script(text)))
    return output.stdout


async def refusal(floor: Floor) -> str:
    """Start a script that cannot start; return why."""
    with pytest.raises(SpawnFailed) as refused:
        await floor.start(floor.order(floor.script('echo started')))
    return str(refused.value)


@pytest.mark.parametrize(
    ('ending', 'status'),
    [
        ('[ -f /no/such/file ] && . /no/such/file\n', 1),
        ('false', 1),
        ('return 3\n', 3),
        ('shopt -s extglob\ncase a in !(b)) false ;; esac\n', 1),
        ('set +e; no_such_command\n', 127),
        ('set -aCfu; unset IFS; set -- x; (exit 2)\n', 2),
    ],
)
async def test_a_last_command_that_is_false_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str, status: int
) -> None:
    """What the file exported is taken; log and /health name the file and the status, once."""
    first = setup_file(tmp_path, f'export ONE=1\necho said >&2\n{ending}')
    second = setup_file(tmp_path, 'export ONE=$ONE$#\n', 'second.bash')
    async with floor_on(tmp_path, (first, second)) as floor:
        assert await printed(floor) == '10\n'
        assert await printed(floor, 'env | grep -c __gateway') == '0\n'
        (warning,) = floor.runner.environment_warnings
    assert warning.startswith(f'{first} was sourced, but its last command returned {status}; ')
    assert 'said' in warning
    assert [record.message for record in caplog.records if str(first) in record.message] == [
        warning
    ]


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        ('exit 0\n', 'it ended the shell with status 0, as by exit'),
        ('f() { exit 4; }; f\n', 'it ended the shell with status 4, as by exit'),
        ('trap true EXIT; exit 0\n', 'it ended the shell, as by exec'),
        ('exec true\n', 'it ended the shell, as by exec'),
        ('kill -9 $$\n', 'it ended the shell, as by exec'),
        ('set -e\nfalse\n', 'status 1, under "set -e" this failed: false ({file}, line 3)'),
        ('set -e\n[ -f /x ] && . /x\n', 'status 1, under "set -e" this failed: its last command'),
        ('set -e\ntrue\nexit 5\n', 'status 5, as by exit'),
        ('false\nset -e\nexit 5\n', 'status 5, as by exit'),
        ('if\n', 'it has a syntax error; stderr: {file}: line 3: syntax error'),
        ('set -u\necho $NO_SUCH\n', 'as by exit; stderr: {file}: line 3: NO_SUCH'),
    ],
)
async def test_a_file_that_ends_the_shell_or_cannot_be_parsed_is_an_error(
    tmp_path: Path, content: str, told: str
) -> None:
    """The error names the file, beside one that is right, and says what it did."""
    right = setup_file(tmp_path, 'export ONE=1\n')
    wrong = setup_file(tmp_path, f'export TWO=2\n{content}', 'wrong.bash')
    async with floor_on(tmp_path, (right, wrong, right)) as floor:
        assert f'{wrong} cannot be sourced: ' in (why := await refusal(floor))
        assert told.format(file=wrong) in why
        assert floor.runner.environment_warnings == (why,)


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('missing.bash', 'it cannot be read: No such file or directory'),
        ('.', 'it is a directory'),
        ('file/setup.bash', 'it cannot be read: Not a directory'),
    ],
)
async def test_a_file_that_is_none_is_an_error(tmp_path: Path, path: str, told: str) -> None:
    """What is not there or not a file is named, with the reason."""
    (tmp_path / 'file').touch()
    wrong = tmp_path / path
    async with floor_on(tmp_path, (wrong,)) as floor:
        assert f'{wrong} cannot be sourced: {told}' in await refusal(floor)


async def test_a_file_that_hangs_ends_at_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sourcing has a time limit, and the file that held it up is named."""
    monkeypatch.setattr('gateway_node.process.sourcing.SOURCE_TIMEOUT_SEC', 0.5)
    right = setup_file(tmp_path, 'true\n')
    wrong = setup_file(tmp_path, 'sleep 600\n', 'hangs.bash')
    async with floor_on(tmp_path, (right, wrong)) as floor:
        told = f'{wrong} cannot be sourced: it takes longer than 0.5 s'
        assert told in floor.runner.environment_warnings[0]


async def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """The first line counts, as without the mark; that the file's path is another is told."""
    before = setup_file(tmp_path, 'true\n', 'before.bash')
    file = setup_file(tmp_path, b'\xef\xbb\xbfexport ONE=\xc3\xa9\n')
    async with floor_on(tmp_path, (before, file)) as floor:
        assert floor.runner.environment_warnings == (
            f'{file} begins with a byte order mark: a copy without it was sourced, and '
            'BASH_SOURCE in it is the path of the copy',
        )
        assert await printed(floor) == 'é\n'
        assert list((tmp_path / 'state' / 'internal').iterdir()) == []


async def test_a_failed_sourcing_is_tried_again_after_growing_pauses(tmp_path: Path) -> None:
    """What was wrong for a while only heals by itself; in a pause a start is refused at once."""
    count, ready = tmp_path / 'count', tmp_path / 'ready'
    file = setup_file(tmp_path, f'echo >> {count}\n[ -e {ready} ] || exit 1\nexport ONE=1\n')
    clock = FakeClock()
    async with floor_on(tmp_path, (file,), clock) as floor:
        sourced = 1
        for pause_sec in (1, 2, 4, 8, 16, 32, 60, 60):
            clock.seconds += pause_sec - 0.01
            assert 'since 2026-03-01T12:00:00.000Z' in await refusal(floor)
            assert len(count.read_text()) == sourced
            clock.seconds += 0.01
            clock.wall = clock.wall.replace(year=clock.wall.year + 1)
            refusals = await asyncio.gather(refusal(floor), refusal(floor))
            assert all('since 2026-03-01T12:00:00.000Z' in why for why in refusals)
            sourced += 1
            assert len(count.read_text()) == sourced
        ready.touch()
        assert 'cannot be sourced' in await refusal(floor)
        clock.seconds += 60
        assert await printed(floor) == '1\n'
        assert floor.runner.environment_warnings == ()
        clock.seconds += 3600
        assert await printed(floor) == '1\n'
        assert len(count.read_text()) == sourced + 1


async def test_a_runner_whose_environment_cannot_be_taken_is_not_ready(tmp_path: Path) -> None:
    """What waits for a start waits for that; it is ready as soon as a start would succeed."""
    file = setup_file(tmp_path, 'exit 3\n')
    async with floor_on(tmp_path, (file,)) as floor:
        with pytest.raises(RunnerUnavailable, match=f'{file} cannot be sourced'):
            await floor.runner.ready()
        setup_file(tmp_path, 'export ONE=1\n')
        await floor.runner.ready()
        assert await printed(floor) == '1\n'


async def test_a_changed_file_and_a_wish_try_at_once(tmp_path: Path) -> None:
    """Neither waits for the pause to be over."""
    ready = tmp_path / 'ready'
    content = f'[ -e {ready} ] || exit 1\nexport ONE=1\n'
    file = setup_file(tmp_path, content)
    async with floor_on(tmp_path, (file,), FakeClock()) as floor:
        ready.touch()
        await refusal(floor)
        setup_file(tmp_path, f'{content}\n')
        assert await printed(floor) == '1\n'
        ready.unlink()
        await floor.runner.refresh_environment()
        await refusal(floor)
        ready.touch()
        await floor.runner.refresh_environment()
        assert await printed(floor) == '1\n'


async def test_the_environment_before_a_failure_is_not_used(tmp_path: Path) -> None:
    """Scripts do not run in what the files no longer say; the failure is since it failed."""
    file = setup_file(tmp_path, 'export ONE=1\n')
    clock = FakeClock()
    async with floor_on(tmp_path, (file,), clock) as floor:
        assert await printed(floor) == '1\n'
        clock.wall = clock.wall.replace(hour=13)
        setup_file(tmp_path, 'exit 1\n')
        why = await refusal(floor)
        assert why.startswith('scripts cannot start since 2026-03-01T13:00:00.000Z: ')


async def test_starts_that_come_together_source_once(tmp_path: Path) -> None:
    """They wait for one sourcing, whatever it ends with, and none comes after it."""
    count, gate = tmp_path / 'count', tmp_path / 'gate'
    file = setup_file(tmp_path, 'exit 1\n')
    async with floor_on(tmp_path, (file,), FakeClock()) as floor:
        setup_file(
            tmp_path,
            f'echo >> {count}\nwhile ! [ -e {gate} ]; do sleep 0.01; done\nexit 1\n',
        )
        starts = [asyncio.create_task(refusal(floor)) for _ in range(5)]
        await wait_until(count.exists, what='the file is being sourced')
        began = time.monotonic()
        gate.touch()
        await asyncio.gather(*starts)
        assert time.monotonic() - began < DEADLINE_SEC
        assert count.read_text() == '\n'


async def test_wishes_that_come_during_a_sourcing_are_one(tmp_path: Path) -> None:
    """However often SIGHUP comes, what is under way is followed by one sourcing, not by each."""
    count, gate = tmp_path / 'count', tmp_path / 'gate'
    file = setup_file(tmp_path, 'true\n')
    async with floor_on(tmp_path, (file,)) as floor:
        setup_file(tmp_path, f'echo >> {count}\nwhile ! [ -e {gate} ]; do sleep 0.01; done\n')
        first = asyncio.create_task(floor.runner.refresh_environment())
        await wait_until(count.exists, what='the file is being sourced')
        others = [asyncio.create_task(floor.runner.refresh_environment()) for _ in range(20)]
        await asyncio.sleep(0)
        gate.touch()
        await asyncio.gather(first, *others)
        assert count.read_text() == '\n\n'


async def test_files_that_do_not_answer_leave_the_environment_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held up, a warning names them; what changed meanwhile counts once they answer."""
    mount = SilentMount(monkeypatch)
    file = setup_file(tmp_path, 'export ONE=1\n')
    async with floor_on(tmp_path, (file,)) as floor:
        mount.answers.clear()
        setup_file(tmp_path, 'export ONE=22\n')
        async with asyncio.timeout(DEADLINE_SEC):
            assert await printed(floor) == '1\n'
            await floor.runner.refresh_environment()
            assert await printed(floor) == '1\n'
        (warning,) = floor.runner.environment_warnings
        assert warning.endswith(f'do not answer, whether they have changed is unknown: {file}')
        mount.answers.set()
        await wait_until(
            lambda: not floor.runner._environment._look.hangs, what='the files answer'
        )
        assert await printed(floor) == '22\n'
        assert floor.runner.environment_warnings == ()


async def test_files_that_do_not_answer_at_the_start_are_not_sourced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell would hang where nothing ends it: no script starts, until they answer."""
    mount = SilentMount(monkeypatch)
    mount.answers.clear()
    count = tmp_path / 'count'
    file = setup_file(tmp_path, f'echo >> {count}\nexport ONE=1\n')
    async with asyncio.timeout(2 * DEADLINE_SEC), floor_on(tmp_path, (file,)) as floor:
        assert f'{file} cannot be sourced: they do not answer' in await refusal(floor)
        assert not count.exists()
        mount.answers.set()
        await wait_until(
            lambda: not floor.runner._environment._look.hangs, what='the files answer'
        )
        assert await printed(floor) == '1\n'
