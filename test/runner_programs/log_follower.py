# SPDX-License-Identifier: Apache-2.0
"""Lets executions live without end, and follows the log of it, until it is killed.

`log_follower.py STATE_DIR HEARD SEED` appends a line to HEARD for each event that it hears, and
goes on behind the last one when it is started again. It says a line when it has begun, and one
for each execution.
"""

import asyncio
import contextlib
import os
from pathlib import Path
import random
import sys

from fakes import new_execution

from gateway_node.clock import SystemClock
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import LogBegins
from gateway_node.executions.events import Cursor
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.store_ports import LogPolicy
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

POLICY = LogPolicy(max_events=100, max_age_sec=0)


async def main(state_dir: Path, heard: Path, chance: random.Random) -> None:
    """Live."""
    store = await SqliteExecutionStore.open(await Database.open(state_dir), SystemClock())
    ledger = Ledger(store)
    lived = asyncio.Semaphore(0)
    following = asyncio.create_task(follow(ledger, store, heard, chance, lived))
    tell('begun')
    ids = ExecutionIds(await store.last_id())
    clock = SystemClock()
    while not following.done():
        execution = new_execution(0, id=ids.next(clock.now()))
        await ledger.begin(execution, actor=GATEWAY)
        running = transition(execution, ExecutionStatus.RUNNING)
        await ledger.persist(running)
        ended = transition(running.execution, ExecutionStatus.FAILED, 'exited')
        await ledger.persist(ended)
        if chance.random() < 0.3:
            await ledger.remove(execution.id, actor=GATEWAY, cause='retention')
        await store.log.prune(POLICY)
        lived.release()
        tell(execution.id)
    await following


async def follow(
    ledger: Ledger,
    store: SqliteExecutionStore,
    heard: Path,
    chance: random.Random,
    lived: asyncio.Semaphore,
) -> None:
    """Hear of everything, sometimes slowly: many executions live meanwhile, however fast."""
    fd = os.open(heard, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    follower = ledger.follow(last_place(heard) or (await store.log.bounds()).begins)
    while True:
        try:
            event = await follower.next()
        except LogBegins as error:
            ledger.remove_listener(follower)
            follower = ledger.follow(error.begins)
            say(fd, 'begins', error.begins)
            continue
        say(fd, 'heard', event.cursor, event.subject_id, event.kind.value)
        if chance.random() < 0.1:
            with contextlib.suppress(LogBegins):  # it was slow: `next` tells it as well
                await store.log.hold('follower', event.cursor)
        if chance.random() < 0.01:
            while not lived.locked():
                await lived.acquire()
            for _ in range(chance.randrange(400)):
                await lived.acquire()


def tell(line: str) -> None:
    """Say a line to who started this."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def say(fd: int, verb: str, place: Cursor, *what: str) -> None:
    """Note what was heard: all of the line or nothing, whenever this process is killed."""
    os.write(fd, f'{" ".join((verb, place.epoch, str(place.sequence), *what))}\n'.encode())


def last_place(heard: Path) -> Cursor | None:
    """Return the place behind what was heard last."""
    lines = heard.read_text('ascii').splitlines() if heard.exists() else []
    if not lines:
        return None
    _, epoch, sequence, *_ = lines[-1].split()
    return Cursor(epoch=epoch, sequence=int(sequence))


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), random.Random(int(sys.argv[3]))))
