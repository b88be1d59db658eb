# SPDX-License-Identifier: Apache-2.0
"""How a ROS thread lets the event loop go before; knows nothing of rclpy."""

import time

_MOMENT_SEC = 0.0001


def give_way() -> None:
    """Let another thread have the interpreter, between two steps of something that takes a while.

    What looks at the graph holds it, for up to a millisecond each time where there are hundreds of
    nodes. Who only lets go of it has it again before the other thread is awake.
    """
    time.sleep(_MOMENT_SEC)
