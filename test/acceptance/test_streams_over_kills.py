# SPDX-License-Identifier: Apache-2.0
"""What readers that reconnect at random saw is what the log has, although gateways are killed."""

from collections.abc import Iterator
import os
from pathlib import Path
import random
import secrets
import signal
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import BASE, gateway, GatewayProcess
from random_reader import RandomReader

SEED = 'STREAMS_SEED'
SCRIPT = """
i=0
while [ $i -lt $1 ]; do
  i=$((i+1))
  echo "line $i of $$"
  if [ $((i % 7)) -eq 0 ]; then echo "$i" >&3; sleep 0.01; fi
done
"""
FINAL = ('completed', 'failed', 'terminated')
OFTEN = {'streams.heartbeat_sec': 1}


@pytest.mark.timeout(120)
def test_two_kills_cost_no_reader_anything(tmp_path: Path) -> None:
    """No status is lost or told twice, and no line that is kept."""
    campaign(tmp_path, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_kills_cost_no_reader_anything(tmp_path: Path) -> None:
    """No status is lost or told twice, and no line that is kept."""
    campaign(tmp_path, kills=30)


def campaign(folder: Path, *, kills: int) -> None:
    """Kill a gateway with readers, start it again, and compare what they saw with the log."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    try:
        Readers(folder, random.Random(seed)).live(kills)
    except BaseException as error:
        error.add_note(f'{SEED}={seed}')
        raise


class Readers:
    """The readers of a gateway that is killed again and again."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self._address = ('127.0.0.1', 1)
        self._of_log: list[RandomReader] = []
        self._of_executions: dict[str, RandomReader] = {}

    def live(self, kills: int) -> None:
        """Let readers read over so many kills, and judge what they saw."""
        script_id = entity = None
        for _ in range(kills):
            with gateway(self._folder, OFTEN) as api:
                self._address = (api.host, api.port)
                if script_id is None or entity is None:
                    entity = f'components/{api.body("/components")["items"][0]["id"]}'
                    for path in ('/events', '/executions/events'):
                        self._of_log.append(self._reader(path))
                    # A reader begins from now on: what is told has to come behind that.
                    wait_for(
                        lambda: [each.has_place for each in self._of_log],
                        all,
                        what='the readers have a place in the log',
                    )
                    script_id = api.upload(entity, SCRIPT)
                self._start_some(api, entity, script_id)
                self._wait_told(self._chance.randint(20, 400))
                api.signal(signal.SIGKILL)
                api.wait_ended()
        with gateway(self._folder, OFTEN) as api:
            self._address = (api.host, api.port)
            self._judge(api)

    def _reader(self, path: str) -> RandomReader:
        seed = self._chance.randrange(1_000_000)
        return RandomReader(lambda: self._address, f'{BASE}{path}', seed)

    def _wait_told(self, count: int) -> None:
        before = self._told()
        wait_for(self._told, lambda told: told >= before + count, what=f'{count} more are told')

    def _told(self) -> int:
        return sum(len(each.seen) for each in self._of_executions.values())

    def _start_some(self, api: GatewayProcess, entity: str, script_id: str) -> None:
        for lines in (self._chance.choice([0, 50, 500]), 3000):
            href = api.start(entity, script_id, arguments=[str(lines)])
            self._of_executions[href] = self._reader(f'{href.removeprefix(BASE)}/events')

    def _judge(self, api: GatewayProcess) -> None:
        for href in self._of_executions:
            api.wait_for_status(href, *FINAL)
        log = list(_pages(api, '/events?limit=1000'))
        for reader in self._of_log:
            goal = log if reader.path == f'{BASE}/events' else _of_executions(log)
            _wait_read(reader, log[-1]['id'])
            told = [each for each in reader.seen if each.name != 'progress']
            assert [each.id for each in told] == [item['id'] for item in goal]
            assert [(each.name, each.payload) for each in told] == [
                (item['event'], item['payload']) for item in goal
            ]
        for href, reader in self._of_executions.items():
            _wait_over(reader)
            _judge_execution(api, href, reader)


def _wait_read(reader: RandomReader, last: str) -> None:
    wait_for(
        lambda: [each.id for each in reader.seen[-1:]],
        lambda seen: seen == [last],
        what=f'{reader.path} is read to its end',
    )
    reader.stop()


def _wait_over(reader: RandomReader) -> None:
    wait_for(lambda: reader.is_over, bool, what=f'{reader.path} is over')
    reader.stop()


def _judge_execution(api: GatewayProcess, href: str, reader: RandomReader) -> None:
    """Compare what a reader saw of an execution with what is kept of it."""
    assert reader.named('reset') == []
    statuses = [each.payload for each in reader.named('status')]
    assert statuses == [item['payload'] for item in api.body(f'{href}/events')['items']]
    (result,) = reader.named('result')
    assert result == reader.seen[-1]
    assert result.payload['status'] == api.body(href)['status']
    seen = {each.payload['number']: each.payload['text'] for each in reader.named('output')}
    assert list(seen) == sorted(seen)
    assert len(seen) == len(reader.named('output'))
    dropped = {
        number
        for each in reader.named('dropped')
        for number in range(each.payload['from'], each.payload['to'] + 1)
    }
    assert seen.keys().isdisjoint(dropped)
    assert sorted(seen.keys() | dropped) == list(range(1, len(seen) + len(dropped) + 1))
    kept = {line['number']: line['text'] for line in _pages(api, f'{href}/output?limit=1000')}
    assert kept.items() <= seen.items()


def _pages(api: GatewayProcess, path: str | None) -> Iterator[Any]:
    """Yield the items of a list, page by page."""
    while path is not None:
        body = api.body(path)
        yield from body['items']
        path = body.get('next')


def _of_executions(log: list[Any]) -> list[Any]:
    return [item for item in log if item['event'] == 'status']
