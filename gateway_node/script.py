# SPDX-License-Identifier: Apache-2.0
"""What a Python script of the gateway imports.

`from gateway_node.script import parameters, progress, result, ros_node`
"""

from gateway_node.child.script.script_api import parameters, progress, result, ros_node

__all__ = ['parameters', 'progress', 'result', 'ros_node']
