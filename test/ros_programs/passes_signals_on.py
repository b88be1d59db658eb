# SPDX-License-Identifier: Apache-2.0
"""Runs a command and passes signals on to it, as `ros2 run` does since Kilted."""

import signal
import subprocess
import sys
from types import FrameType


def pass_on(number: int, _: FrameType | None) -> None:
    """Signal the command too, whether or not the terminal has done so."""
    process.send_signal(number)


process = subprocess.Popen(sys.argv[1:])
for asked in (signal.SIGINT, signal.SIGTERM):
    signal.signal(asked, pass_on)
sys.exit(process.wait())
