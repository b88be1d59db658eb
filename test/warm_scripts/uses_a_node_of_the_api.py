# SPDX-License-Identifier: Apache-2.0
"""Has a node of the script API."""

from gateway_node.script import ros_node, result

with ros_node() as node:
    result({'hidden': node.get_name().startswith('_script_')})
