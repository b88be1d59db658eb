# SPDX-License-Identifier: Apache-2.0
"""A spawner whose supervisors have modules loaded, and fork scripts that have them too.

The Python that scripts have executes it, in their environment, with what is to be loaded, a
`messages.Loaded`, in front of the arguments that every spawner has. Threads that modules begin are
in none of its forks.
"""

import gc
import json
import os
import sys

from gateway_node import inspection
from gateway_node.child.contract import EXECUTION_ID_VARIABLE
from gateway_node.child.messages import Loaded
from gateway_node.child.supervision import spawner
from gateway_node.child.warm.exit import WarmExit
from gateway_node.child.warm.loading import import_all, load_libraries
from gateway_node.child.warm.script_process import WarmScripts
from gateway_node.child.warm.shown_process import ShownProcess


def main() -> None:
    """Load, and serve a gateway as the other spawner does."""
    loaded: Loaded = json.loads(sys.argv.pop(1))
    shown = ShownProcess(EXECUTION_ID_VARIABLE)
    shown.show_command([sys.executable, __name__])
    set_at_the_start = dict(os.environ.items() - shown.environment.items())
    # Before there is much to look into, and behind what only who may look can read.
    inspection.forbid_unless_hidden()
    import_all(loaded['modules'])
    load_libraries(loaded['libraries'])
    warm_exit = WarmExit(loaded['idle_threads'])
    # The spawner keeps what is left from being collected, and copied thereby, in its forks.
    gc.collect()
    spawner.main(WarmScripts(shown, warm_exit, set_at_the_start).start)
    # What modules do at the exit is for scripts.
    os._exit(0)
