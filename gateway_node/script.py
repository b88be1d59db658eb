# SPDX-License-Identifier: Apache-2.0
"""What a Python script of the gateway imports.

`from gateway_node.script import parameters, progress, result, ros_node`; for what a script finds
`check, metric, verdict`, for files that it leaves `artifacts`, and for what it has executed
`start, wait`.
"""

from gateway_node.child.script.child_executions import start, wait
from gateway_node.child.script.script_api import (
    artifacts,
    check,
    metric,
    parameters,
    progress,
    result,
    ros_node,
    verdict,
)

__all__ = [
    'artifacts',
    'check',
    'metric',
    'parameters',
    'progress',
    'result',
    'ros_node',
    'start',
    'verdict',
    'wait',
]
