# SPDX-License-Identifier: Apache-2.0
"""What scripts leave in `$GATEWAY_ARTIFACTS`, and what of it is kept of them."""

import hashlib
import os
from pathlib import Path
import signal
import zlib

import pytest
from runner_support import Floor, floor, floor_on
from waiting import wait_until
from warm_support import warm_floor_on

from gateway_node.executions.artifact import Artifact
from gateway_node.executions.errors import ArtifactNotFound
from gateway_node.executions.runner_ports import EndCause, Outcome, StartOrder
from gateway_node.process.limits import artifact_bounds
from gateway_node.removal import remove_tree
from gateway_node.scripts.values import ScriptKind

__all__ = ['floor']


async def leave(
    floor: Floor, content: str, kind: ScriptKind = ScriptKind.SH
) -> tuple[Outcome, StartOrder]:
    """Run a script that begins in the folder, where it is one of the shell."""
    if kind is ScriptKind.SH:
        content = f'cd "$GATEWAY_ARTIFACTS"\n{content}'
    order = floor.order(floor.script(content, kind))
    outcome, output = await floor.run(order)
    assert outcome.exit_code in (0, None), output
    return outcome, order


async def kept(floor: Floor, order: StartOrder) -> dict[str, bytes]:
    """Return what is kept of an execution, as it is read."""
    artifacts = floor.runner.artifacts
    found = {}
    for each in await artifacts.of(order.execution_id):
        await artifacts.check(order.execution_id, [each])
        pieces = artifacts.content(order.execution_id, each, 0, each.size)
        found[each.path] = b''.join([piece async for piece in pieces])
        assert each.sha256 == hashlib.sha256(found[each.path]).hexdigest()
        assert each.crc32 == zlib.crc32(found[each.path])
    return found


def directory_of(floor: Floor, order: StartOrder) -> Path:
    """Return where the execution keeps what it keeps."""
    return floor.folder / 'state' / 'executions' / order.execution_id


def supervisor_folders(floor: Floor) -> list[Path]:
    """Return the folders in which supervisors have their scripts work."""
    return [*(floor.folder / 'state' / 'supervisors').iterdir()]


async def test_what_a_script_leaves_is_kept(floor: Floor) -> None:
    """Files and the folders that they are in; the outcome says how many, and no warning."""
    outcome, order = await leave(
        floor, 'mkdir -p plots/raw; echo a > plots/raw/a.csv; echo b > "plots/b c.png"; : > empty'
    )
    assert (outcome.artifacts, outcome.warnings) == (3, ())
    assert await kept(floor, order) == {
        'empty': b'',
        'plots/b c.png': b'b\n',
        'plots/raw/a.csv': b'a\n',
    }
    assert outcome.kept_bytes is not None
    assert outcome.kept_bytes > 0


async def test_a_script_that_leaves_nothing_has_nothing(floor: Floor) -> None:
    """Not even a directory; folders without files are nothing."""
    outcome, order = await leave(floor, 'mkdir -p a/b; echo x > c; rm c')
    assert (outcome.artifacts, outcome.warnings, outcome.kept_bytes) == (0, (), 0)
    assert await floor.runner.artifacts.of(order.execution_id) == ()
    assert not directory_of(floor, order).exists()


@pytest.mark.parametrize('end', ['exit 3', 'kill -9 $$', 'kill -9 $PPID; sleep 60'])
async def test_what_is_left_is_kept_however_a_script_ends(floor: Floor, end: str) -> None:
    """Also where its supervisor was killed."""
    order = floor.order(floor.script(f'echo said > "$GATEWAY_ARTIFACTS/log"; {end}'))
    outcome, _ = await floor.run(order)
    assert outcome.artifacts == 1
    assert await kept(floor, order) == {'log': b'said\n'}
    assert await floor.runner.kept_bytes([order.execution_id]) == [outcome.kept_bytes]


async def test_who_is_killed_as_it_keeps_large_files_has_told_the_end_before(floor: Floor) -> None:
    """As the gateway does where its supervisor hears nothing for long; it goes on with that."""
    order = floor.order(
        floor.script('truncate -s 100M "$GATEWAY_ARTIFACTS/large"; echo $PPID; exit 3')
    )
    process = await floor.start(order)
    await floor.written(order, '\n')
    supervisor = int((await floor.runner.outputs.of(order.execution_id)).stdout)
    taken = directory_of(floor, order) / 'artifacts' / 'large'
    await wait_until(taken.exists, what='a file that is taken')
    os.kill(supervisor, signal.SIGKILL)
    outcome = await process.ended()
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 3)
    assert [each.path for each in await floor.runner.artifacts.of(order.execution_id)] == ['large']
    assert outcome.artifacts == 1


async def test_nothing_but_what_is_kept_is_in_the_directory(tmp_path: Path) -> None:
    """Once the end is on record, whatever the supervisor goes on with."""
    async with floor_on(tmp_path) as floor:
        for content in ('echo > a', 'mkdir d', ':'):
            _, order = await leave(floor, content)
            floor.runner.acknowledge([order.execution_id])
            directory = directory_of(floor, order)

            def is_tidy(directory: Path = directory) -> bool:
                there = sorted(path.name for path in directory.glob('*'))
                return there == ['artifacts', 'artifacts.json'] or not directory.exists()

            await wait_until(is_tidy, what='nothing else in the directory')


async def test_the_next_script_finds_its_folder_empty(floor: Floor) -> None:
    """Whatever the last one left, and whichever supervisor has it."""
    for content in ('echo 1 > a', 'mkdir d; echo 2 > d/b; ln -s / d/c', 'chmod 0 .'):
        await leave(floor, content)
    outcome, order = await leave(floor, 'ls -A; echo "$GATEWAY_ARTIFACTS"; echo 3 > here')
    output = await floor.runner.outputs.of(order.execution_id)
    (folder,) = output.stdout.splitlines()
    assert Path(folder).name == 'artifacts'
    assert Path(folder).parent in supervisor_folders(floor)
    assert await kept(floor, order) == {'here': b'3\n'}
    assert outcome.warnings == ()


async def test_what_is_no_plain_file_is_not_kept_and_named(floor: Floor) -> None:
    """Links are not followed, wherever they lead; nothing waits at a pipe."""
    outcome, order = await leave(
        floor,
        """
        echo secret > ../secret; echo good > good
        ln -s ../secret link; ln -s / folder; ln -s nowhere dangling
        mkfifo pipe
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
        """,
    )
    assert await kept(floor, order) == {'good': b'good\n'}
    assert outcome.artifacts == 1
    assert outcome.warnings == (
        "the artifact 'dangling' is not kept: it is a link",
        "the artifact 'folder' is not kept: it is a link",
        "the artifact 'link' is not kept: it is a link",
        "the artifact 'pipe' is not kept: it is a pipe",
        "the artifact 'socket' is not kept: it is a socket",
    )


async def test_names_that_a_client_could_not_be_told_are_refused(floor: Floor) -> None:
    """They are printable UTF-8, without the character that other systems take for a slash."""
    content = (
        'import os\n'
        "os.chdir(os.environ['GATEWAY_ARTIFACTS'])\n"
        "for name in (b'\\xff', b'a\\nb', b'..\\\\x', 'gemäß.txt'.encode()):\n"
        "    open(name, 'w').close()\n"
    )
    outcome, order = await leave(floor, content, ScriptKind.PYTHON)
    assert [*await kept(floor, order)] == ['gemäß.txt']
    assert len(outcome.warnings) == 3
    assert all('its name is no printable UTF-8' in each for each in outcome.warnings)


async def test_a_file_that_lies_too_deep_is_refused(floor: Floor) -> None:
    """A path has eight names at most; below a ninth nobody looks."""
    outcome, order = await leave(
        floor, 'mkdir -p 1/2/3/4/5/6/7/8/9; echo > 1/2/3/4/5/6/7/in; echo > 1/2/3/4/5/6/7/8/out'
    )
    assert [*await kept(floor, order)] == ['1/2/3/4/5/6/7/in']
    assert outcome.warnings == (
        "the artifact '1/2/3/4/5/6/7/8/9' is not kept: it lies in more than 7 folders",
        "the artifact '1/2/3/4/5/6/7/8/out' is not kept: it lies in more than 7 folders",
    )


async def test_the_bounds_are_kept(tmp_path: Path) -> None:
    """What is too large is refused by itself, what comes after the last one all at once."""
    bounds = artifact_bounds(max_files=3, max_file_mb=0.001, max_total_mb=0.0015)
    async with floor_on(tmp_path, kept_artifacts=bounds) as floor:
        outcome, order = await leave(
            floor,
            """
            truncate -s 1T a_hole; truncate -s 1049 b_large; truncate -s 1048 c; truncate -s 525 d
            truncate -s 524 e; : > f; : > g
            """,
        )
        assert [*await kept(floor, order)] == ['c', 'e', 'f']
        assert outcome.artifacts == 3
        assert outcome.warnings == (
            "the artifact 'a_hole' is not kept: it has 1099511627776 bytes; allowed: 1048 "
            '(artifacts.max_file_mb)',
            "the artifact 'b_large' is not kept: it has 1049 bytes; allowed: 1048 "
            '(artifacts.max_file_mb)',
            "the artifact 'd' is not kept: with it all have more bytes than are allowed: 1572 "
            '(artifacts.max_total_mb)',
            'not all artifacts are kept: more than 3 files were left (artifacts.max_files)',
        )


async def test_of_many_that_are_refused_the_first_are_named(floor: Floor) -> None:
    """The others are counted."""
    content = (
        'import os\n'
        "os.chdir(os.environ['GATEWAY_ARTIFACTS'])\n"
        'for number in range(100, 1000):\n'
        "    os.symlink('/', str(number))\n"
    )
    outcome, _ = await leave(floor, content, ScriptKind.PYTHON)
    *named, more = outcome.warnings
    assert [each.split("'")[1] for each in named] == ['100', '101', '102', '103', '104']
    assert more == '895 more artifacts are not kept'


async def test_what_may_not_be_read_is_made_readable(floor: Floor) -> None:
    """The permissions that a script gave are its own business; no kept file may be executed."""
    outcome, order = await leave(
        floor,
        'mkdir d; echo 1 > d/a; echo 2 > b; chmod 0 d/a d; chmod 4777 b; chmod 0 .',
    )
    assert await kept(floor, order) == {'b': b'2\n', 'd/a': b'1\n'}
    assert outcome.warnings == ()
    folder = directory_of(floor, order) / 'artifacts'
    assert {oct(path.stat().st_mode & 0o7777) for path in folder.rglob('*') if path.is_file()} == {
        '0o600'
    }


async def test_a_file_with_another_name_is_copied(floor: Floor) -> None:
    """By the other name it could still be written to."""
    outcome, order = await leave(
        floor, f'echo first > {floor.folder}/other; ln {floor.folder}/other linked'
    )
    (floor.folder / 'other').write_text('second')
    assert await kept(floor, order) == {'linked': b'first\n'}
    assert outcome.warnings == ()


async def test_what_somebody_still_writes_is_kept_as_it_was(floor: Floor) -> None:
    """A process that is none of the script's has it open, and goes on with a file of its own."""
    os.mkfifo(floor.folder / 'go')
    order = floor.order(
        floor.script(
            'echo said > "$GATEWAY_ARTIFACTS/log"; echo "$GATEWAY_ARTIFACTS"; '
            f'read x < {floor.folder}/go'
        )
    )
    process = await floor.start(order)
    await floor.written(order, 'artifacts\n')
    folder = (await floor.runner.outputs.of(order.execution_id)).stdout.strip()
    writer = os.open(f'{folder}/log', os.O_WRONLY | os.O_APPEND)
    (floor.folder / 'go').write_text('now\n')
    outcome = await process.ended()
    os.write(writer, b'more')
    os.close(writer)
    assert await kept(floor, order) == {'log': b'said\n'}
    assert outcome.warnings == (
        "the artifact 'log' was being written: it is kept as it was at the end",
    )


@pytest.mark.parametrize(
    ('replaces', 'complaint'),
    [
        ('ln -s / "$GATEWAY_ARTIFACTS"', 'something else is in its place'),
        ('ln -s "$PWD" "$GATEWAY_ARTIFACTS"', 'something else is in its place'),
        ('echo > "$GATEWAY_ARTIFACTS"', 'something else is in its place'),
        ('mkfifo "$GATEWAY_ARTIFACTS"', 'something else is in its place'),
        ('true', ''),
    ],
)
async def test_a_folder_that_was_replaced_by_something_else_is_not_followed(
    floor: Floor, replaces: str, complaint: str
) -> None:
    """What a link leads to stays where it is; the next script finds a folder."""
    order = floor.order(
        floor.script(f'cd "$PWD"; echo x > x; rmdir "$GATEWAY_ARTIFACTS"; {replaces}')
    )
    outcome, _ = await floor.run(order)
    assert outcome.artifacts == 0
    told = (f'the folder of artifacts is not kept: {complaint}',) if complaint else ()
    assert outcome.warnings == told
    _, order = await leave(floor, 'echo > next')
    assert [*await kept(floor, order)] == ['next']


async def test_a_folder_that_the_script_made_itself_is_as_good(floor: Floor) -> None:
    """As where a tool wants to make the folder into which it writes."""
    order = floor.order(
        floor.script('rmdir "$GATEWAY_ARTIFACTS"; mkdir made; echo > made/a; '
                     'mv made "$GATEWAY_ARTIFACTS"')
    )  # fmt: skip
    outcome, _ = await floor.run(order)
    assert (outcome.artifacts, outcome.warnings) == (1, ())
    assert [*await kept(floor, order)] == ['a']


async def test_what_is_discarded_is_gone(floor: Floor) -> None:
    """The files go with the execution, however often they are asked for."""
    _, order = await leave(floor, 'mkdir d; echo > d/a')
    (artifact,) = await floor.runner.artifacts.of(order.execution_id)
    await floor.runner.discard(order.execution_id)
    assert await floor.runner.artifacts.of(order.execution_id) == ()
    with pytest.raises(ArtifactNotFound):
        await floor.runner.artifacts.check(order.execution_id, [artifact])
    with pytest.raises(ConnectionAbortedError):
        await anext(floor.runner.artifacts.content(order.execution_id, artifact, 0, 1))


async def test_a_file_that_is_not_as_it_was_listed_is_not_there(floor: Floor) -> None:
    """Nor is what a link leads to that somebody put in the place of a folder."""
    _, order = await leave(floor, 'mkdir d; echo > d/a; echo > b')
    artifacts: dict[str, Artifact] = {
        each.path: each for each in await floor.runner.artifacts.of(order.execution_id)
    }
    folder = directory_of(floor, order) / 'artifacts'
    (floor.folder / 'elsewhere').mkdir()
    (floor.folder / 'elsewhere' / 'a').write_text('\n')
    remove_tree(folder / 'd')
    (folder / 'd').symlink_to(floor.folder / 'elsewhere')
    (folder / 'b').write_text('longer')
    for each in artifacts.values():
        with pytest.raises(ArtifactNotFound):
            await floor.runner.artifacts.check(order.execution_id, [each])


async def test_what_is_left_is_kept_over_the_death_of_the_gateway(tmp_path: Path) -> None:
    """The supervisor ended the script; or it died too, and the next gateway finds the folder."""
    async with floor_on(tmp_path) as first:
        order = first.order(first.script('echo > "$GATEWAY_ARTIFACTS/a"'))
        outcome, _ = await first.run(order)
        assert outcome.artifacts == 1
    async with floor_on(tmp_path) as second:
        recovered = (await second.runner.recover())[order.execution_id]
        assert (recovered.cause, recovered.artifacts) == (EndCause.EXITED, 1)
        assert await kept(second, order) == {'a': b'\n'}


async def test_a_script_that_starts_warm_leaves_files(tmp_path: Path) -> None:
    """By the script API as by the variable, and one after the other from one supervisor."""
    content = (
        'import os\n'
        'from gateway_node.script import artifacts\n'
        "assert str(artifacts()) == os.environ['GATEWAY_ARTIFACTS']\n"
        '(artifacts() / f\'{os.environ["GATEWAY_EXECUTION_ID"]}\').touch()\n'
    )
    async with warm_floor_on(tmp_path, modules=('gateway_node.script',)) as floor:
        for _ in range(3):
            order = floor.order(floor.script(content, ScriptKind.PYTHON))
            process = await floor.start(order)
            outcome = await process.ended()
            assert (process.warm, outcome.artifacts) == (True, 1)
            assert [*await kept(floor, order)] == [order.execution_id]
            floor.runner.acknowledge([order.execution_id])
