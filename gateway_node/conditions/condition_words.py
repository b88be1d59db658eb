# SPDX-License-Identifier: Apache-2.0
"""The words of the language, and the bounds of what may be said with them.

Who describes it, or reads it, needs them; no condition has to be there for that.
"""

from collections.abc import Mapping
import enum
import re

KINDS = (
    *('topic', 'node', 'service', 'publishers', 'lifecycle', 'diagnostics'),
    *('interval_sec', 'cron', 'script', 'gateway', 'all', 'any', 'not'),
)
"""What tells conditions from each other: each has one of these fields."""
MOMENTS = ('interval_sec', 'cron', 'script', 'gateway')
"""The kinds that are moments, whatever else they say."""

VALUE_TESTS = ('changes', 'equals', 'above', 'below', 'within', 'outside')
RATE_TESTS = ('rate_above', 'rate_below')
TOPIC_TESTS = (*VALUE_TESTS, *RATE_TESTS, 'silent_sec', 'present')
WITH_HYSTERESIS = ('above', 'below', 'within', 'outside', *RATE_TESTS)

FURTHER_FIELDS = (
    *('field', 'type', 'every', *TOPIC_TESTS, 'hysteresis', 'for', 'parameter', 'state'),
    *('level', 'missed', 'entity', 'status', 'verdict'),
)

LEVELS: Mapping[str, int] = {'OK': 0, 'WARN': 1, 'ERROR': 2, 'STALE': 3}
"""The levels of `diagnostic_msgs/msg/DiagnosticStatus`, by name."""
LIFECYCLE_STATES = (
    *('unconfigured', 'inactive', 'active', 'finalized'),
    *('configuring', 'cleaningup', 'shuttingdown', 'activating', 'deactivating'),
    'errorprocessing',
)
"""The labels of the states of a lifecycle node (design.ros2.org, managed nodes)."""
FINAL_STATUSES = ('completed', 'failed', 'terminated')
"""How an execution ends, as `executions` calls it."""
VERDICTS = ('PASS', 'WARN', 'FAIL', 'SKIP')
"""What a script found, as `scripts` calls it."""


class Missed(enum.Enum):
    """What becomes of times of a clock that came while nobody looked at it."""

    SKIP = 'skip'
    """Nothing."""
    ONCE = 'once'
    """They are made up for, once for all of them."""


NAME = re.compile(r'(?:/[A-Za-z_][A-Za-z0-9_]*)+')
NODE_GLOB = re.compile(r'[/*][A-Za-z0-9_/*?]*')
_STEP = r'[A-Za-z][A-Za-z0-9_]*(?:\[-?[0-9]{1,9}\])*'
FIELD = re.compile(rf'{_STEP}(?:\.{_STEP})*')
TYPE = re.compile(r'[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*')
ENTITY = re.compile(r'(?:apps|components)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}')

MAX_DEPTH = 8
"""Conditions inside each other, the outermost one counted."""
MAX_PARTS = 64
"""Conditions in one, itself counted."""
MAX_PRECONDITIONS = 16
MAX_AGE_SEC = 60.0
MIN_AGE_SEC = 0.1
MAX_SETTLES_SEC = 60.0
"""How long a start waits at most until it is known whether a precondition is true."""
DEFAULT_MAX_RATE_HZ = 20.0
"""As the parameter `triggers.max_rate_hz` is by default."""

MAX_NAME_LENGTH = 255
"""As ROS has it."""
MAX_FIELD_LENGTH = 1024
MAX_ENTITY_LENGTH = 300
MAX_SEC = 31 * 86400.0
MIN_SILENT_SEC = 0.1
MIN_INTERVAL_SEC = 1.0
MIN_MESSAGE_RATE = 0.001
MAX_MESSAGE_RATE = 100_000.0
MAX_NUMBER = 1e300
MAX_EQUALS_LENGTH = 4096
"""Characters of the JSON of a value that another one is compared with."""
