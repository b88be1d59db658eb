# SPDX-License-Identifier: Apache-2.0
"""Answers that tell of executions, against the same number of bytes that are there already."""

from collections.abc import Iterator
import contextlib
import functools
from pathlib import Path

from bench import peers
from bench.figures import at_least, interleaved, Line, ratio, Series
from bench.gateways import Client, client, KEEP_ALL, write_manifest
from bench.histories import FEW, state_with
from bench.load import Clients, request

ROUNDS = 6
STATUSES_A_ROUND = 3000
STATUS_CLIENTS = 32
STATUS_GOAL = 0.65
LISTS_A_ROUND = 40
LIST_CLIENTS = 8
LIST_GOAL = 0.2


def answer_cost(folder: Path) -> Iterator[Line]:
    """The status of an execution that has ended, and 100 executions of a long history."""
    script = folder / 'true.sh'
    script.write_text('true\n')
    parameters = {
        'scripts.manifest': write_manifest(folder, {'true': str(script)}),
        'state_dir': str(state_with(folder.parent, FEW)),
        **KEEP_ALL,
    }
    with contextlib.ExitStack() as afterwards:
        api = afterwards.enter_context(client(folder, parameters, parent=peers.ON_SERVERS_CORES))
        bare = afterwards.enter_context(peers.bare(folder))
        afterwards.enter_context(peers.clients_core())
        status = _href_of_an_ended(api)
        yield from _served(api, bare, status, STATUS_CLIENTS, STATUSES_A_ROUND, STATUS_GOAL)
        yield from _served(api, bare, '/api/v1/executions', LIST_CLIENTS, LISTS_A_ROUND, LIST_GOAL)


def _href_of_an_ended(api: Client) -> str:
    api.send_start('true')
    href = api.receive(202)['href']
    api.wait_ended('true')
    return str(href)


def _served(
    api: Client, bare: peers.Bare, path: str, clients: int, count: int, goal: float
) -> Iterator[Line]:
    length = len(api.gateway.request('GET', path).content)
    with contextlib.ExitStack() as afterwards:
        ours, peer = interleaved(
            ROUNDS,
            *(
                functools.partial(
                    afterwards.enter_context(contextlib.closing(Clients(each, clients))).rate,
                    count,
                )
                for each in (request(api.gateway.port, 'GET', path), bare.ready_made(length))
            ),
        )
    rate, share = Series(values=ours.values, unit='/s'), ratio(ours, peer)
    what = 'status' if clients == STATUS_CLIENTS else 'list of 100'
    yield Line(
        figure=f'{what}, {clients} clients: gateway',
        series=rate,
        ratio=share,
        goal=at_least(goal, share, 'of bare'),
    )
    yield Line(figure=f'{length:,} bytes ready-made', series=Series(values=peer.values, unit='/s'))
