# SPDX-License-Identifier: Apache-2.0
"""What stands between the end of a script and the answer of a client that waits for it."""

from collections.abc import Callable, Iterator
import contextlib
import functools
import os
from pathlib import Path
import sqlite3
import subprocess
import time

from bench import peers
from bench.figures import at_most, elapsed_ms, interleaved, Line, ratio, surplus
from bench.gateways import client, write_manifest
from bench.load import Connection, Request

ENDS = 60
COMMITS_GOAL = 2.0
QUIET_SEC = 0.2
"""After which nothing of the start is under way any more."""
WAITS = '#!/bin/sh\nread _ < "$1" || true\n'
ROW = b'\0' * 4096
"""As much as an execution's record has."""


class Gate:
    """A FIFO that a script waits at for its end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / 'gate'
        os.mkfifo(self.path)

    def reached(self) -> Callable[[], None]:
        """Wait until the script is there; return what lets it go on to its end."""
        descriptor = os.open(self.path, os.O_WRONLY)
        time.sleep(QUIET_SEC)
        return functools.partial(os.close, descriptor)


def end_cost(folder: Path) -> Iterator[Line]:
    """From a script's end to the answer, against commits of SQLite on the same disk."""
    scripts = folder / 'scripts'
    scripts.mkdir()
    script = scripts / 'waits.sh'
    script.write_text(WAITS)
    gate = Gate(folder)
    manifest = write_manifest(folder, {'waits': str(script)})
    with contextlib.ExitStack() as afterwards:
        enter = afterwards.enter_context
        api = enter(client(folder, {'scripts.manifest': manifest}, parent=peers.ON_SERVERS_CORES))
        bare = enter(peers.bare(scripts))
        asked = (
            peers.gateway_run(api, 'waits', str(gate.path)),
            bare.run(script.name, str(gate.path)),
        )
        served = [enter(contextlib.closing(Connection(each.port))) for each in asked]
        commit = enter(_commits(folder))
        ours, peer, waited, commits = interleaved(
            ENDS,
            *(
                functools.partial(_answered, *each, gate)
                for each in zip(served, asked, strict=True)
            ),
            functools.partial(_waited_for, script, gate),
            functools.partial(elapsed_ms, commit),
        )
    end = surplus(ours, waited)
    yield Line(
        figure='sh told to end, to the answer: gateway',
        series=ours,
        ratio=ratio(ours, peer),
        goal=at_most(COMMITS_GOAL * commits.median, end, 'more than to its end', 'ms'),
    )
    yield Line(figure='bare aiohttp', series=peer)
    yield Line(figure='sh told to end, to its end', series=waited)
    yield Line(figure='a commit of SQLite, 4 KiB', series=commits)


def _answered(connection: Connection, asked: Request, gate: Gate) -> float:
    connection.send(asked)
    go_on = gate.reached()

    def end() -> None:
        go_on()
        while not connection.receive():
            pass

    return elapsed_ms(end)


def _waited_for(script: Path, gate: Gate) -> float:
    process = subprocess.Popen(['/bin/sh', str(script), str(gate.path)])
    go_on = gate.reached()

    def end() -> None:
        go_on()
        process.wait()

    return elapsed_ms(end)


@contextlib.contextmanager
def _commits(folder: Path) -> Iterator[Callable[[], object]]:
    """Yield what commits one row of 4 KiB, as durably as the gateway's database."""
    connection = sqlite3.connect(folder / 'commits.sqlite3', isolation_level=None)
    try:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = FULL')
        connection.execute('CREATE TABLE rows (row BLOB)')
        yield functools.partial(connection.execute, 'INSERT INTO rows VALUES (?)', (ROW,))
    finally:
        connection.close()
