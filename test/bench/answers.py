# SPDX-License-Identifier: Apache-2.0
"""Answers that tell of executions, against the same number of bytes that are there already."""

from collections.abc import Iterator, Sequence
import contextlib
import functools
from pathlib import Path

from bench import peers
from bench.figures import at_least, interleaved, Line, ratio, Series
from bench.gateways import Client, client, KEEP_ALL, write_manifest
from bench.histories import FEW, state_with
from bench.load import Clients, Request, request

ROUNDS = 6
STATUSES_A_ROUND = 3000
STATUS_CLIENTS = 32
STATUS_GOAL = 0.65
LISTS_A_ROUND = 200
LIST_CLIENTS = 8
LIST_GOAL = 0.2
LIST = '/api/v1/executions?limit=-100'
PAGES = 400


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
        lists = [f'{LIST}&id_exclusive={each}' for each in _ids(api)]
        for what, paths, clients, count, goal in (
            ('status', [_href_of_an_ended(api)], STATUS_CLIENTS, STATUSES_A_ROUND, STATUS_GOAL),
            ('a list of 100 again', lists[:1], LIST_CLIENTS, LISTS_A_ROUND, LIST_GOAL),
            ('lists of 100, each new', lists, LIST_CLIENTS, LISTS_A_ROUND, LIST_GOAL),
        ):
            length = len(api.gateway.request('GET', paths[0]).content)
            asked = [request(api.gateway.port, 'GET', path) for path in paths]
            ours, peer = _rates(clients, count, asked, [bare.ready_made(length)])
            share = ratio(ours, peer)
            yield Line(
                figure=f'{what}, {clients} clients: gateway',
                series=ours,
                ratio=share,
                goal=at_least(goal, share, 'of bare'),
            )
            yield Line(figure=f'{length:,} bytes ready-made', series=peer)


def _ids(api: Client) -> list[str]:
    """Return more ids than the gateway holds pages."""
    return [each['id'] for each in api.get(f'/executions?limit=-{PAGES}&fields=id')['items']]


def _href_of_an_ended(api: Client) -> str:
    api.send_start('true')
    href = api.receive(202)['href']
    api.wait_ended('true')
    return str(href)


def _rates(clients: int, count: int, *asked: Sequence[Request]) -> list[Series]:
    with contextlib.ExitStack() as afterwards:
        measured = interleaved(
            ROUNDS,
            *(
                functools.partial(
                    afterwards.enter_context(contextlib.closing(Clients(each, clients))).rate,
                    count,
                )
                for each in asked
            ),
        )
    return [Series(values=each.values, unit='/s') for each in measured]
