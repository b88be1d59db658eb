# SPDX-License-Identifier: Apache-2.0
"""Why executions failed: the reasons that there are, and what is told of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import enum
from typing import Any


class FailureReason(enum.Enum):
    """Why an execution failed; the values are the `vendor_code` of its error."""

    SCRIPT_FAILED = 'x-gateway-script-failed'
    """The script exited non-zero or died of a signal."""
    TIMEOUT = 'x-gateway-timeout'
    """It ran past its time limit."""
    LIMIT_CPU = 'x-gateway-limit-cpu'
    """Its tree used more CPU time than allowed."""
    LIMIT_MEMORY = 'x-gateway-limit-memory'
    """Its tree held more memory than allowed."""
    LIMIT_PROCESSES = 'x-gateway-limit-processes'
    """Its tree had more processes than allowed."""
    LIMIT_OPEN_FILES = 'x-gateway-limit-open-files'
    """It needed more open files than allowed."""
    LIMIT_FILE_SIZE = 'x-gateway-limit-file-size'
    """It wrote a larger file than allowed."""
    LIMIT_OUTPUT = 'x-gateway-limit-output'
    """It wrote more to stdout and stderr than allowed."""
    SPAWN_FAILED = 'x-gateway-spawn-failed'
    """Its process could not be started."""
    SHUTDOWN = 'x-gateway-shutdown'
    """The gateway ended while it ran."""
    RESTARTED = 'x-gateway-restarted'
    """The gateway died while it ran, and was started again."""
    ENTITY_ABSENT = 'x-gateway-entity-absent'
    """Its entity did not come online in time after a start of the gateway."""
    SCRIPT_GONE = 'x-gateway-script-gone'
    """Its script was deleted while it was scheduled, or who had it started does not see it."""
    PARAMETERS_REFUSED = 'x-gateway-parameters-refused'
    """The script changed while it was scheduled, and no longer takes its parameters."""
    SECRETS_GONE = 'x-gateway-secrets-gone'
    """It was not started before the gateway ended, in whose memory alone its secrets were."""
    PROXIMITY_UNPROVEN = 'x-gateway-proximity-unproven'
    """Its script requires a proof of proximity, and who started it gave none, or long ago."""
    PRECONDITION_UNMET = 'x-gateway-precondition-unmet'
    """When its turn came, the robot was not as its script, or its instance, requires."""
    PRECONDITION_LOST = 'x-gateway-precondition-lost'
    """The robot was not any more as it has to be while the script runs."""
    EXPIRED = 'x-gateway-expired'
    """It waited for a place for longer than its start allowed."""
    CHILDREN_FAILED = 'x-gateway-children-failed'
    """It executed a script on several entities, and not all of these executions completed."""
    SUPERVISOR_LOST = 'x-gateway-supervisor-lost'
    """The process that supervised it died, or was not understood."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an execution failed, as the API's GenericError will tell it."""

    reason: FailureReason
    message: str
    """One sentence for a person."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What is known: exit_code, signal, the tail of stderr, the limit, the use. JSON values."""
