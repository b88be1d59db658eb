# SPDX-License-Identifier: Apache-2.0
"""What a Python script of the gateway imports.

`from gateway_node.script import check, metric, parameters, progress, result, ros_node, verdict`
"""

from gateway_node.child.script.script_api import (
    check,
    metric,
    parameters,
    progress,
    result,
    ros_node,
    verdict,
)

__all__ = ['check', 'metric', 'parameters', 'progress', 'result', 'ros_node', 'verdict']
