# SPDX-License-Identifier: Apache-2.0
"""Output of real scripts: on the disk, in memory, and where it is when somebody is killed."""

import asyncio
from dataclasses import replace
import os
from pathlib import Path
import resource
import time

import pytest
from runner_support import Floor, floor, floor_on, KEPT
from waiting import wait_until

from gateway_node.child.output_frames import SHOWN_BYTES
from gateway_node.executions.output_lines import OutputLine, OutputLines, OutputStream
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import StopAction
from gateway_node.scripts.values import Limits, Script, ScriptKind

__all__ = ['floor']

FLOODS = 'head -c 300000 /dev/zero | tr "\\0" x; echo end\n'
FLOOD_DROPPED = 300_004 - 2 * SHOWN_BYTES


def kept_of(floor: Floor, execution_id: str) -> Path:
    """Return the folder of an execution."""
    return floor.folder / 'state' / 'executions' / execution_id


def until_told(floor: Floor) -> str:
    """Return lines that wait until the script is told to go on."""
    return f'until [ -e {floor.folder}/told ]; do sleep 0.01; done\n'


def tell(floor: Floor) -> None:
    """Tell the script to go on."""
    (floor.folder / 'told').touch()


async def test_what_is_recorded_is_removed(floor: Floor) -> None:
    """The output stays; an execution without any leaves no folder. Until then all is there,
    where the supervisor has no other order."""
    silent = floor.order(floor.script('echo \'{"a": 1}\' > "$GATEWAY_RESULT"; mkdir folder'))
    loud = floor.order(floor.script('echo here; mkdir folder'))
    for order in (silent, loud):
        await floor.run(order)
    folder = kept_of(floor, silent.execution_id)
    assert os.listdir(folder) == ['end.json']
    floor.runner.acknowledge([silent.execution_id, loud.execution_id])
    await wait_until(lambda: not folder.exists(), what='the folder is gone')
    folder = kept_of(floor, loud.execution_id)
    await wait_until(lambda: os.listdir(folder) == ['output.head'], what='the end is gone')
    assert (await floor.runner.outputs.of(loud.execution_id)).stdout == 'here\n'
    assert (await floor.runner.outputs.of(silent.execution_id)).stdout == ''
    assert await floor.runner.kept() == (loud.execution_id,)


async def test_what_is_recorded_before_the_supervisor_is_gone_is_removed_after(
    floor: Floor,
) -> None:
    """It clears its own things away first, however long that takes."""
    order = floor.order(floor.script('i=0; while [ $i -lt 3000 ]; do : > $((i+=1)); done'))
    process = await floor.start(order)
    await process.ended()
    floor.runner.acknowledge([order.execution_id])
    folder = kept_of(floor, order.execution_id)
    await wait_until(lambda: not folder.exists(), what='the folder is gone')
    (journal,) = (floor.folder / 'state' / 'open').iterdir()
    await wait_until(lambda: journal.read_bytes()[:1] == b'\n', what='its slot is empty')


async def test_what_is_recorded_of_a_lost_execution_is_removed(tmp_path: Path) -> None:
    """Recovered ends are put away as others are, once they are recorded."""
    async with floor_on(tmp_path) as first:
        order = first.order(first.script('exit 3'))
        await first.run(order)
    async with floor_on(tmp_path) as later:
        outcomes = await later.runner.recover()
        assert outcomes[order.execution_id].exit_code == 3
        assert os.listdir(kept_of(later, order.execution_id)) == ['end.json']
        later.runner.acknowledge(outcomes)
    assert os.listdir(tmp_path / 'state' / 'executions') == []


async def test_a_running_script_costs_the_disk_its_head_alone(floor: Floor) -> None:
    """The tail is written once, at the end; gateway and script hold nothing of its memory then."""
    script = floor.script(f'{FLOODS}ls -l /proc/self/fd >&2; {until_told(floor)}')
    order = floor.order(script)
    process = await floor.start(order)
    await floor.written(order, 'end\n')
    running = await floor.runner.outputs.of(order.execution_id)
    assert running.dropped_bytes == FLOOD_DROPPED
    folder = kept_of(floor, order.execution_id)
    assert not list(folder.glob('output.tail*'))
    tell(floor)
    await process.ended()
    assert (folder / 'output.tail').stat().st_size < 1.2 * SHOWN_BYTES
    ended = await floor.runner.outputs.of(order.execution_id)
    assert (ended.stdout, ended.dropped_bytes) == (running.stdout, FLOOD_DROPPED)
    assert 'gw-output' not in ended.stderr
    await process.released()


async def test_a_killed_supervisor_costs_no_output(floor: Floor) -> None:
    """The gateway holds the tail's memory, and writes what the supervisor would have written."""
    script = floor.script(f'{FLOODS}{until_told(floor)}kill -KILL $PPID; sleep 600')
    order = floor.order(script)
    process = await floor.start(order)
    await floor.written(order, 'end\n')
    tell(floor)
    outcome = await process.ended()
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    assert (kept_of(floor, order.execution_id) / 'output.tail').exists()
    output = await floor.runner.outputs.of(order.execution_id)
    assert output.stdout.endswith('end\n')
    assert output.dropped_bytes == FLOOD_DROPPED


async def test_a_reader_of_a_flood_sees_the_end_of_what_there_is(floor: Floor) -> None:
    """Each reading is of one moment: whole lines in sequence, and a count that fits them."""
    script = floor.script(
        'import sys\nfor n in range(300000):\n sys.stdout.write(f"{n:015}\\n")\n',
        ScriptKind.PYTHON,
    )
    order = floor.order(script)
    process = await floor.start(order)
    readings = 0
    while not process.has_ended:
        output = await floor.runner.outputs.of(order.execution_id)
        _, gap, tail = output.stdout.partition(
            f'\n[... {output.dropped_bytes} bytes dropped ...]\n'
        )
        if gap:
            readings += 1
            first = (SHOWN_BYTES + output.dropped_bytes) // 16
            assert tail == ''.join(f'{n:015}\n' for n in range(first, first + 4096))
    assert readings > 0
    assert (await floor.runner.outputs.of(order.execution_id)).stdout.endswith('299999\n')


WRITES_INTO_ITS_SUPERVISOR = r"""
import glob, os, sys, time
sys.stdout.write('x' * 300_000 + 'end\n')
sys.stdout.flush()
while not (found := [fd for fd in glob.glob(f'/proc/{os.getppid()}/fd/*')
                     if 'gw-output' in os.readlink(fd)]):
    time.sleep(0.01)
memory = os.open(found[0], os.O_RDWR)
for content in (b'\xff' * 327_680, os.urandom(327_680), bytes(327_680)):
    os.pwrite(memory, content, 0)
try:
    os.ftruncate(memory, 0)
except OSError:
    open('sealed', 'w').close()
while not os.path.exists('told'):
    time.sleep(0.01)
"""


@pytest.mark.skipif(os.getuid() != 0, reason='root alone can write into that memory')
async def test_a_script_that_writes_into_the_memory_harms_itself_alone(floor: Floor) -> None:
    """It can, being of root; neither supervisor nor gateway stumbles over it."""
    order = floor.order(floor.script(WRITES_INTO_ITS_SUPERVISOR, ScriptKind.PYTHON))
    process = await floor.start(order)
    working_directory = Path(process.link.name) / 'work'
    await wait_until((working_directory / 'sealed').exists, what='all is tried')
    await floor.runner.outputs.of(order.execution_id)
    (working_directory / 'told').touch()
    outcome = await process.ended()
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 0)
    output = await floor.runner.outputs.of(order.execution_id)
    assert output.stdout.endswith('xend\n')
    assert output.dropped_bytes == FLOOD_DROPPED


async def test_without_a_descriptor_the_tail_is_there_at_the_end(floor: Floor) -> None:
    """A gateway that cannot take the memory loses nothing but the sight of it meanwhile."""
    heard = asyncio.Event()
    script = floor.script(f'{until_told(floor)}{FLOODS}sleep 0.5; echo 50 >&3; sleep 600')
    order = floor.order(script)
    process = await floor.start(order, lambda _: heard.set())
    tell(floor)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        async with asyncio.timeout(20):
            await heard.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    running = await floor.runner.outputs.of(order.execution_id)
    assert (running.stdout, running.dropped_bytes) == ('x' * SHOWN_BYTES, 0)
    process.stop(StopAction.FORCED_TERMINATION)
    await process.ended()
    output = await floor.runner.outputs.of(order.execution_id)
    assert output.stdout.endswith('xend\n')
    assert output.dropped_bytes == FLOOD_DROPPED


async def test_output_that_no_file_takes_is_told_as_lost(floor: Floor) -> None:
    """As on a full disk: nothing but a warning of the execution can say that there was any."""
    hinders = 'mkdir $kept/output.head $kept/output.tail\n'
    script = floor.script(f'{KEPT}{hinders}echo lost; echo this too >&2')
    outcome, output = await floor.run(floor.order(script))
    assert (output.stdout, output.stderr) == ('', '')
    assert outcome.warnings == ('14 bytes of the output are lost: the disk did not take them',)


async def seen_to_the_end(floor: Floor, execution_id: str, news: asyncio.Event) -> OutputLines:
    """Follow an execution's lines whenever there are news; return all of them as one reading."""
    lines: list[OutputLine] = []
    last = 0
    while True:
        news.clear()
        read = await floor.runner.outputs.lines(execution_id, after=last, limit=100)
        lines += read.lines
        assert read.dropped == ()
        if read.complete:
            return replace(read, lines=tuple(lines))
        if read.last == last:
            async with asyncio.timeout(20):
                await news.wait()
        last = read.last


async def test_lines_are_followed_while_the_script_runs(floor: Floor) -> None:
    """Whoever reads on whenever there are news sees each line once, in order, to the end."""
    script = floor.script(
        'import sys, time\n'
        'for n in range(1000):\n'
        ' print(f"{n:040}", file=sys.stderr if n % 3 else sys.stdout, flush=True)\n'
        ' time.sleep(0.0005)\n'
        'sys.stdout.write("no end")\n',
        ScriptKind.PYTHON,
    )
    order = floor.order(script)
    await floor.start(order)
    news = asyncio.Event()
    end_watch = floor.runner.outputs.watch(order.execution_id, news.set)
    followed = await seen_to_the_end(floor, order.execution_id, news)
    end_watch()
    assert [line.number for line in followed.lines] == list(range(1, 1002))
    by_stream = {
        stream: [line.text for line in followed.lines if line.stream is stream]
        for stream in OutputStream
    }
    assert by_stream[OutputStream.STDOUT] == [f'{n:040}' for n in range(0, 1000, 3)] + ['no end']
    assert by_stream[OutputStream.STDERR] == [f'{n:040}' for n in range(1000) if n % 3]
    assert followed.lines[0].elapsed_ms + 300 < followed.lines[-1].elapsed_ms
    again = await floor.runner.outputs.lines(order.execution_id, limit=2000)
    assert again == followed


async def test_no_line_is_later_than_the_end(floor: Floor) -> None:
    """Its time counts from where the duration does; limits make what comes before take longer."""
    for limits in (Limits(), Limits(memory_mb=500)):
        script = replace(floor.script('echo the last thing'), limits=limits)
        order = floor.order(script)
        outcome, _ = await floor.run(order)
        assert outcome.duration_sec is not None
        (line,) = (await floor.runner.outputs.lines(order.execution_id, limit=2)).lines
        assert line.elapsed_ms <= round(outcome.duration_sec * 1000)


async def test_new_output_is_told_ten_times_a_second_at_most(floor: Floor) -> None:
    """However often it comes; not where there is none, nor in the first tenth, but at the end."""
    flood = floor.script('i=0; while [ $((i+=1)) -lt 600 ]; do echo; sleep 0.001; done')
    begun = time.monotonic()
    told = await told_times(floor, flood)
    assert told[0] - begun >= 0.1
    assert 2 <= len(told) <= 2 + (told[-1] - begun) * 10
    assert len(await told_times(floor, floor.script('sleep 0.3'))) == 1


async def told_times(floor: Floor, script: Script) -> list[float]:
    """Run a script; return when there was said to be more output."""
    times: list[float] = []
    order = floor.order(script)
    process = await floor.start(order)
    floor.runner.outputs.watch(order.execution_id, lambda: times.append(time.monotonic()))
    await process.ended()
    return times


async def test_lines_keep_their_numbers_when_the_supervisor_is_killed(floor: Floor) -> None:
    """The gateway has those that the supervisor had shown, with the count of the dropped ones."""
    floods = 'seq 100000; echo end >&2'
    script = floor.script(f'{floods}; {until_told(floor)}kill -KILL $PPID; sleep 600')
    order = floor.order(script)
    process = await floor.start(order)
    news = asyncio.Event()
    floor.runner.outputs.watch(order.execution_id, news.set)
    async with asyncio.timeout(20):
        while (await floor.runner.outputs.lines(order.execution_id, limit=10**6)).last < 100_001:
            await news.wait()
            news.clear()
    running = await floor.runner.outputs.lines(order.execution_id, after=10_000, limit=10**6)
    tell(floor)
    outcome = await process.ended()
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    ended = await floor.runner.outputs.lines(order.execution_id, after=10_000, limit=10**6)
    assert ended == replace(running, complete=True)
    assert [line.text for line in ended.lines if line.stream is OutputStream.STDERR] == ['end']
    counted = [line for line in ended.lines if line.whole and line.text != 'end']
    # The end of the other stream may have been read before.
    assert all(int(line.text) in (line.number, line.number - 1) for line in counted)
    (gap,) = ended.dropped
    assert (gap.last - gap.first + 1) + len(ended.lines) == 90_001


async def test_a_later_gateway_reads_the_same_lines(tmp_path: Path) -> None:
    """Their numbers are in the files."""
    async with floor_on(tmp_path) as first:
        order = first.order(first.script('seq 100000; exit 3'))
        await first.run(order)
        last = await first.runner.outputs.lines(order.execution_id, after=99_998, limit=9)
    async with floor_on(tmp_path) as later:
        assert last == await later.runner.outputs.lines(order.execution_id, after=99_998, limit=9)
    assert [(line.number, line.text) for line in last.lines] == [
        (99_999, '99999'),
        (100_000, '100000'),
    ]
