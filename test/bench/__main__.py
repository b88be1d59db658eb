# SPDX-License-Identifier: Apache-2.0
"""The command line: which rows, and the table."""

import argparse
from collections.abc import Callable, Iterable
import datetime
import os
from pathlib import Path
import platform
import shutil
import sys
import tempfile

from bench import (
    access,
    answers,
    conditions,
    ends,
    exports,
    graph,
    idle,
    lists,
    output,
    records,
    recovery,
    runs,
    starts,
    statistics_cost,
    streams,
    triggers,
)
from bench.figures import Line, table

Row = Callable[[Path], Iterable[Line]]

ROWS: dict[str, Row] = {
    'run': runs.run_cost,
    'python': runs.python_cost,
    'end': ends.end_cost,
    'answers': answers.answer_cost,
    'access': access.access_cost,
    'idle': idle.idle_cost,
    'written': idle.written_cost,
    'serving': idle.first_answer,
    'start': starts.start_cost,
    'environment': starts.environment_cost,
    'output': output.flood,
    'twenty': starts.twenty_at_once,
    'record': records.record_cost,
    'pages': records.page_cost,
    'lists': lists.list_cost,
    'statistics': statistics_cost.statistics_cost,
    'export': exports.export_cost,
    'streams': streams.stream_cost,
    'recovery': recovery.recovery_time,
    'graph': graph.poll_cost,
    'triggers': triggers.trigger_cost,
    'conditions': conditions.condition_cost,
}
FULL_ROWS: dict[str, Row] = {'pages': records.page_cost_of_a_million}
"""What `--full` measures in place of the row of that name."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog='bench', description=__doc__)
    parser.add_argument('rows', nargs='*', metavar='ROW', help=f'of {", ".join(ROWS)}; all')
    parser.add_argument('--full', action='store_true', help='pages: a million executions')
    wanted = parser.parse_args()
    for name in wanted.rows:
        if name not in ROWS:
            parser.error(f'there is no row {name!r}; there are {", ".join(ROWS)}')
    _say(_machine())
    rows = {**ROWS, **FULL_ROWS} if wanted.full else ROWS
    # Not /tmp, which is in memory on many machines: what is synced has to go to a disk.
    with tempfile.TemporaryDirectory(prefix='gateway_bench_', dir='/var/tmp') as shared:
        for name in wanted.rows or ROWS:
            folder = Path(shared) / name
            folder.mkdir()
            _keep_ros_in(folder)
            _say('\n' + table(name, list(rows[name](folder))))
            shutil.rmtree(folder)


def _machine() -> str:
    now = datetime.datetime.now(datetime.UTC)
    load = ' '.join(f'{each:.2f}' for each in os.getloadavg())
    return (
        f'{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {load}, '
        f'Linux {platform.release()}, Python {platform.python_version()}'
    )


def _keep_ros_in(folder: Path) -> None:
    """Keep the graph on this machine, apart from others, and what ROS writes in the folder."""
    # 1 to 101 do not collide with ephemeral ports on Linux (ROS 2 docs, "The ROS_DOMAIN_ID").
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 101)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_HOME'] = str(folder / 'ros_home')
    os.environ['ROS_LOG_DIR'] = str(folder / 'ros_home' / 'log')


def _say(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
