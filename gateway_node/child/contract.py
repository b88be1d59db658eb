# SPDX-License-Identifier: Apache-2.0
"""What both sides of the fork agree on, and what stands nowhere else.

On one side is the gateway, in `process/`; on the other are spawner and supervisors, what runs in
a script's process, and the program that checks schemas. What they say to each other is in
`messages`, in which form it goes over a socket in `wire`, in which form output is kept in
`output_frames` and `shared_tail`.
"""

from collections.abc import Mapping
import json
from typing import Any

SPAWNER_NAME = 'gw-spawner'
SUPERVISOR_NAME = 'gw-supervisor'
SPARE_NAME = 'gw-spare'
"""Of a supervisor until its order comes. All three as `ps -o comm` shows them."""

LAUNCH_PROGRAM = 'gateway_node.child.script.launch_sequence'
"""A module to be run; its arguments are one of the next two and the fragment's path."""
DESCRIBE = 'describe'
"""Have it give a `messages.FragmentDescription` as its result."""
EXECUTE = 'execute'
"""Have it run the fragment, with the parameters on stdin as launch arguments."""
WARM_TRIAL_PROGRAM = 'gateway_node.child.warm.trial'
"""A module to be run, with the modules that are to be loaded as arguments; its result is a
`messages.WarmTrial`."""
WARM_SPAWNER_PROGRAM = 'gateway_node.child.warm.warm_spawner'
"""A module whose `main` serves as a spawner, with a `messages.Loaded` as its first argument."""
SAFE_PATH = '-P'
"""Python's option that keeps a script's folder out of what is imported from."""
SCHEMA_PROGRAM = 'gateway_node.child.schema.schema_check'
"""A module to be run, with MiB of memory and seconds a check as arguments."""

EXECUTION_ID_VARIABLE = 'GATEWAY_EXECUTION_ID'
"""Of a script's environment, like the next ones. It also marks what the script started."""
ENTITY_VARIABLE = 'GATEWAY_ENTITY'
NODE_VARIABLE = 'GATEWAY_NODE'
"""The path of its entity: `apps/temp_sensor`."""
SCRIPT_ID_VARIABLE = 'GATEWAY_SCRIPT_ID'
URL_VARIABLE = 'GATEWAY_URL'
"""The base of the gateway's API, as this host reaches it."""
CREDENTIALS_VARIABLE = 'GATEWAY_CREDENTIALS'
"""The path of a file with what the script shows to the API, as a header; where it needs that."""
PROGRESS_VARIABLE = 'GATEWAY_PROGRESS'
"""The path of PROGRESS_FIFO."""
RESULT_VARIABLE = 'GATEWAY_RESULT'
"""The path of GIVEN_RESULT_FILE."""
ARTIFACTS_VARIABLE = 'GATEWAY_ARTIFACTS'
"""The path of ARTIFACTS_DIRECTORY, as the script has it."""

WORKING_DIRECTORY = 'work'
"""This and the next ones are in an execution's directory."""
PROGRESS_FIFO = 'progress'
GIVEN_RESULT_FILE = 'given_result.json'
"""What the script gave as its result."""
ARTIFACTS_DIRECTORY = 'artifacts'
"""What the script leaves; in a supervisor's folder, what is kept in an execution's directory."""
ARTIFACTS_INDEX = 'artifacts.json'
"""What is kept of it: a `messages.ArtifactsNote`."""
END_FILE = 'end.json'
"""The supervisor's last word: a `messages.EndReport`."""

PROGRESS_FD = 3
"""The script's descriptor of PROGRESS_FIFO."""
MAX_PROGRESS_LINE_BYTES = 4096
MAX_RESULT_BYTES = 1024 * 1024
TOLD_OUTPUT_BYTES = 16 * 1024
"""Of both streams together, up to which the end of a script tells them itself."""
VERDICTS = ('PASS', 'WARN', 'FAIL', 'SKIP')
"""What a script may say that it found; the values of `scripts.values.Verdict`."""
OOM_SCORE_ADJUSTMENT = 800
"""Scripts go first when memory runs out; inherited, so it also marks every process of a tree."""
LINGER_SEC = 1.0
"""For what is left once the main process has ended: before SIGTERM, and again before SIGKILL."""


def launch_arguments(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return parameters as launch arguments, which are text; null gives none.

    Strings go as they are, everything else as JSON.
    """
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in values.items()
        if value is not None
    ]
