# SPDX-License-Identifier: Apache-2.0
"""Helpers that are killed and stopped at random: every execution ends, and starts work again."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
import os
from pathlib import Path
import random
import secrets
import signal
import threading
import time

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from helper_processes import HELPERS, SPAWNER
from hostile_support import Ground, ground_on

from gateway_node.child.process_tree import descendants

SEED = 'LOST_HELPERS_SEED'
CLIENTS = 6
CAMPAIGN_SEC = 60.0
SCRIPTS = {
    'exit 0\n': 'check.sh',
    'echo hello; sleep 0.05; exit 3\n': 'check.sh',
    'sleep 0.3\n': 'check.sh',
    'setsid sleep 60 & sleep 0.1\n': 'check.sh',
    'import time\ntime.sleep(0.05)\nprint("hello")\n': 'check.py',
}
ENDS = {
    'completed',
    'x-gateway-script-failed',
    'x-gateway-spawn-failed',
    'x-gateway-supervisor-lost',
    # A warm script that was stopped in its first moment, in which it still has the name of the
    # supervisor that it was forked from: a script that is stopped, as any can be.
    'x-gateway-timeout',
}


class Clients:
    """Start scripts until it is enough."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.ground = ground
        self.script_ids = [
            ground.api.upload(ground.entity, each, name=name) for each, name in SCRIPTS.items()
        ]
        self.hrefs: list[str] = []
        """Of what was accepted."""
        self._seed = seed
        self._enough = threading.Event()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Have them start scripts for a while."""
        with ThreadPoolExecutor(max_workers=CLIENTS) as clients:
            working = [clients.submit(self._work, number) for number in range(CLIENTS)]
            try:
                yield
            finally:
                self._enough.set()
        for each in working:
            each.result()

    def start(self, script_id: str) -> bool:
        """Start a script; return whether it was accepted: for a while there may be no spawner, or
        too much may be open."""
        path = f'/{self.ground.entity}/scripts/{script_id}/executions'
        answer = self.ground.api.request('POST', path, json_body={'execution_type': 'now'})
        assert answer.status in (202, 429, 503), answer
        if answer.status == 202:
            self.hrefs.append(str(answer.body['href']))
        return answer.status == 202

    def _work(self, number: int) -> None:
        dice = random.Random(self._seed + number)
        while not self._enough.wait(dice.uniform(0, 0.05)):
            self.start(dice.choice(self.script_ids))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    'numbers',
    [(signal.SIGKILL,), (signal.SIGSTOP,), (signal.SIGKILL, signal.SIGSTOP)],
    ids=['killed', 'stopped', 'both'],
)
def test_every_execution_ends_whatever_becomes_of_helpers(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    """As it ended, or with what was lost; afterwards scripts start as before."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    try:
        with ground_on(tmp_path, {'python.warm': True}) as ground:
            clients = Clients(ground, seed)
            with clients.at_work():
                hit_helpers(ground, random.Random(seed), numbers)
            ended = [ground.ended(href) for href in clients.hrefs]
            wait_for(lambda: clients.start(clients.script_ids[0]), bool, what='starts are taken')
            ground.ended(clients.hrefs[-1])
            ground.wait_settled()
            ground.check_world()
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise
    ends = Counter(body.get('error', {}).get('vendor_code', body['status']) for body in ended)
    assert ends.keys() <= ENDS
    assert ends['completed']
    assert (ends['x-gateway-supervisor-lost'] > 0) is (signal.SIGKILL in numbers)


def hit_helpers(ground: Ground, dice: random.Random, numbers: tuple[signal.Signals, ...]) -> None:
    """Send one of these signals to one helper after the other, less often to a spawner."""
    until = time.monotonic() + CAMPAIGN_SEC
    while time.monotonic() < until:
        time.sleep(dice.uniform(0, 0.15))  # no wait for anything: the random moment of the signal
        helpers = [e for e in descendants(ground.api.process.pid) if e.name in HELPERS]
        if not helpers:
            continue
        chosen = dice.choice(helpers)
        if chosen.name != SPAWNER or dice.random() < 0.3:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chosen.pid, dice.choice(numbers))
