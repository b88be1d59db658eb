# SPDX-License-Identifier: Apache-2.0
"""What a gateway costs that has nothing to do, what it writes, and how soon it serves."""

from collections.abc import Iterator
import contextlib
import functools
from pathlib import Path
import signal
import subprocess
import sys
import time

from gateway_process import entry_point, nothing_left, started

from bench import peers
from bench.figures import at_most, elapsed_ms, interleaved, Line, ratio, Series
from bench.gateways import client, NOT_WARM, PATIENCE_SEC, serving, WARM, write_manifest
from bench.load import Clients
from bench.processes import disk_kib, processor_ms, proportional_mib, written_kib

STARTS = 5
START_GOAL_MS = 600.0
SETTLE_SEC = 10.0
"""After which what begins after the first answer is over."""
IDLE_SEC = 20.0
IDLE_GOAL_PERCENT = 0.3
MEMORY_GOALS_MIB = {'with the warm interpreter': 150.0, 'without': 110.0}
RUNS = 300
FLASH_GOAL_KIB = 121.0
"""What the version before wrote of an execution."""


def idle_cost(folder: Path) -> Iterator[Line]:
    """Memory and processor time of all processes of a gateway that nobody asks anything."""
    # One after the other: what two share would count half of each.
    for name, parameters in (('with the warm interpreter', WARM), ('without', NOT_WARM)):
        with client(folder / name, parameters) as api:
            pid = api.gateway.process.pid
            time.sleep(SETTLE_SEC)
            before = processor_ms(pid)
            time.sleep(IDLE_SEC)
            share = (processor_ms(pid) - before) / IDLE_SEC / 10
            memory = proportional_mib(pid)
        yield Line(
            figure=f'memory of all processes, {name}',
            series=Series(values=[memory], unit='MiB'),
            goal=at_most(MEMORY_GOALS_MIB[name], memory, 'it', 'MiB'),
        )
        yield Line(
            figure=f'processor, {name}',
            series=Series(values=[share], unit='%'),
            goal=at_most(IDLE_GOAL_PERCENT, share, 'it', '%'),
        )


def written_cost(folder: Path) -> Iterator[Line]:
    """What executions without output write to the disk."""
    script = folder / 'true.sh'
    script.write_text('true\n')
    manifest = {'scripts.manifest': write_manifest(folder, {'true': str(script)})}
    with contextlib.ExitStack() as afterwards:
        api = afterwards.enter_context(client(folder, manifest))
        pid = api.gateway.process.pid
        asked = peers.gateway_run(api, 'true')
        clients = afterwards.enter_context(contextlib.closing(Clients([asked], 1)))
        clients.rate(10)
        before, disk_before = written_kib(pid), disk_kib(folder)
        clients.rate(RUNS)
        each = (written_kib(pid) - before) / RUNS
        disk = disk_kib(folder)
    yield Line(
        figure='an execution, by the gateway',
        series=Series(values=[each], unit='KiB'),
        goal=at_most(FLASH_GOAL_KIB, each, 'it', 'KiB'),
    )
    if disk is not None and disk_before is not None:
        series = Series(values=[(disk - disk_before) / RUNS], unit='KiB')
        yield Line(figure='on the disk, with what others write meanwhile', series=series)


def first_answer(folder: Path) -> Iterator[Line]:
    """A start of the gateway, to its first answer."""
    ours, peer = interleaved(
        STARTS,
        functools.partial(_start, folder),
        functools.partial(elapsed_ms, _import),
    )
    yield Line(
        figure='start to the first answer',
        series=ours,
        ratio=ratio(ours, peer),
        goal=at_most(START_GOAL_MS, ours.median, 'it', 'ms'),
    )
    yield Line(figure='python that imports rclpy and aiohttp', series=peer)


def _start(folder: Path) -> float:
    begun = time.perf_counter()
    with (
        nothing_left(),
        started(entry_point(folder / 'state', WARM), folder) as (process, log),
    ):
        serving(process, log).body('/health')
        total = (time.perf_counter() - begun) * 1000
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SEC)
    return total


def _import() -> None:
    subprocess.run([sys.executable, '-c', 'import rclpy, aiohttp.web'], check=True)
