# SPDX-License-Identifier: Apache-2.0
"""What it costs to look at the ROS graph."""

from collections.abc import Iterator
import json
import os
from pathlib import Path
import subprocess
import sys

from bench.figures import at_most, Line, ratio, Series
from bench.gateways import PATIENCE_SEC

NODES = 200
INTERVAL_MS = 500.0
"""The gateway looks twice a second."""
SHARE_GOAL = 0.002


def poll_cost(folder: Path) -> Iterator[Line]:
    """One look at a graph of 200 nodes, against the interval and a look at an empty graph."""
    looked = subprocess.run(
        (sys.executable, '-m', 'bench.graph_poll', os.environ['ROS_DOMAIN_ID'], str(NODES)),
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        timeout=3 * PATIENCE_SEC,
        check=True,
    )
    polls = json.loads(looked.stdout)
    crowded, empty = Series(values=polls['with']), Series(values=polls['without'])
    yield Line(
        figure=f'one look at {NODES} nodes',
        series=crowded,
        ratio=ratio(crowded, empty),
        goal=at_most(INTERVAL_MS * SHARE_GOAL, crowded.median, 'the median', 'ms'),
    )
    yield Line(figure='one look at an empty graph', series=empty)
