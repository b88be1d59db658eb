# SPDX-License-Identifier: Apache-2.0
"""Whole runs of scripts, from the request to the answer at the end, beside the peers."""

from collections.abc import Iterator, Mapping
import contextlib
import functools
from pathlib import Path
import time

from bench import peers
from bench.figures import at_least, at_most, interleaved, Line, ratio, Series
from bench.gateways import client, NOT_WARM, write_manifest
from bench.load import Clients, Request
from bench.processes import processor_ms

RUNS = 100
LATENCY_GOAL = 2.0
CLIENTS = 8
RATE_ROUNDS = 6
RUNS_A_ROUND = 160
RATE_GOAL = 0.8
PROCESSOR_ROUNDS = 4
SETTLE_SEC = 0.3
"""For what follows the answer."""
PYTHON_RUNS = 12
PRINT_GOAL = 0.35
RCLPY_GOAL = 0.2
PYTHON = {
    'print(1)': ('print(1)\n', PRINT_GOAL),
    'import rclpy': ('import rclpy\n', RCLPY_GOAL),
    'a node made and destroyed': (
        'import rclpy\n'
        'rclpy.init()\n'
        "node = rclpy.create_node('checks')\n"
        'node.destroy_node()\n'
        'rclpy.shutdown()\n',
        RCLPY_GOAL,
    ),
}
"""Scripts, and what their runs may take of the peer's time."""
BARE = 'bare aiohttp'
GATEWAY = 'gateway'


def run_cost(folder: Path) -> Iterator[Line]:
    """A script of sh that does nothing: one run after the other, and of eight clients at once."""
    scripts = _scripts(folder, {'true.sh': '#!/bin/sh\ntrue\n'})
    manifest = write_manifest(folder, {'true': str(scripts / 'true.sh')})
    with contextlib.ExitStack() as afterwards:
        enter = afterwards.enter_context
        api = enter(client(folder, {'scripts.manifest': manifest}, parent=peers.ON_SERVERS_CORES))
        bare = enter(peers.bare(scripts))
        asked = {GATEWAY: peers.gateway_run(api, 'true'), BARE: bare.run('true.sh')}
        for name, peer in {'LSO': peers.lso, 'webhook': peers.webhook}.items():
            try:
                asked[name] = enter(peer(scripts))('true.sh')
            except peers.NotHere as error:
                yield Line(figure=f'{name}: {error}')
        enter(peers.clients_core())
        yield from _latencies(asked)
        yield from _rates(asked)
        yield from _processor_times(asked, {GATEWAY: api.gateway.process.pid, BARE: bare.pid})


def python_cost(folder: Path) -> Iterator[Line]:
    """Scripts of Python, forked from the warm interpreter, and started cold."""
    scripts = _scripts(
        folder, {f'{number}.py': each for number, (each, _) in enumerate(PYTHON.values())}
    )
    ids = {f'script_{each.stem}': str(each) for each in scripts.iterdir()}
    parameters = {'scripts.manifest': write_manifest(folder, ids)}
    with contextlib.ExitStack() as afterwards:
        enter = afterwards.enter_context
        start = functools.partial(client, parent=peers.ON_SERVERS_CORES)
        warm = enter(start(folder / 'warm', parameters))
        cold = enter(start(folder / 'cold', {**parameters, **NOT_WARM}))
        warm.wait_warm()
        bare = enter(peers.bare(scripts))
        enter(peers.clients_core())
        for number, (name, (_, share)) in enumerate(PYTHON.items()):
            ours, without, peer = _in_turns(
                PYTHON_RUNS,
                peers.gateway_run(warm, f'script_{number}'),
                peers.gateway_run(cold, f'script_{number}'),
                bare.run(f'{number}.py'),
            )
            share_is = ratio(ours, peer)
            goal = at_most(share, share_is, 'of bare')
            yield Line(figure=f'{name}: gateway', series=ours, ratio=share_is, goal=goal)
            yield Line(figure=f'{name}: cold', series=without, ratio=ratio(without, peer))
            yield Line(figure=f'{name}: {BARE}', series=peer)


def _scripts(folder: Path, contents: Mapping[str, str]) -> Path:
    scripts = folder / 'scripts'
    scripts.mkdir()
    for name, content in contents.items():
        script = scripts / name
        script.write_text(content)
        script.chmod(0o755)
    return scripts


def _latencies(asked: Mapping[str, Request]) -> Iterator[Line]:
    series = dict(zip(asked, _in_turns(RUNS, *asked.values()), strict=True))
    for name, each in series.items():
        times = ratio(each, series[BARE])
        goal = at_most(LATENCY_GOAL, times, 'of bare') if name == GATEWAY else None
        yield Line(figure=f'sh, POST to its end: {name}', series=each, ratio=times, goal=goal)


def _rates(asked: Mapping[str, Request]) -> Iterator[Line]:
    with contextlib.ExitStack() as afterwards:
        measures = [
            functools.partial(_clients(afterwards, each, CLIENTS).rate, RUNS_A_ROUND)
            for each in asked.values()
        ]
        series = dict(zip(asked, interleaved(RATE_ROUNDS, *measures), strict=True))
    for name, each in series.items():
        rate = Series(values=each.values, unit='/s')
        share = ratio(rate, series[BARE])
        goal = at_least(RATE_GOAL, share, 'of bare') if name == GATEWAY else None
        yield Line(
            figure=f'runs of {CLIENTS} clients: {name}', series=rate, ratio=share, goal=goal
        )


def _processor_times(asked: Mapping[str, Request], pids: Mapping[str, int]) -> Iterator[Line]:
    """Tell what a run costs all processes together: others on the machine change it little."""
    with contextlib.ExitStack() as afterwards:
        measures = [
            functools.partial(
                _processor_ms_a_run, pids[name], _clients(afterwards, asked[name], CLIENTS)
            )
            for name in pids
        ]
        series = dict(zip(pids, interleaved(PROCESSOR_ROUNDS, *measures), strict=True))
    for name, each in series.items():
        yield Line(
            figure=f'processor time of a run: {name}', series=each, ratio=ratio(each, series[BARE])
        )


def _processor_ms_a_run(pid: int, clients: Clients) -> float:
    before = processor_ms(pid)
    clients.rate(RUNS_A_ROUND)
    time.sleep(SETTLE_SEC)
    return (processor_ms(pid) - before) / RUNS_A_ROUND


def _in_turns(count: int, *asked: Request) -> list[Series]:
    with contextlib.ExitStack() as afterwards:
        return interleaved(count, *(_clients(afterwards, each, 1).ms_each for each in asked))


def _clients(afterwards: contextlib.ExitStack, asked: Request, count: int) -> Clients:
    return afterwards.enter_context(contextlib.closing(Clients([asked], count)))
