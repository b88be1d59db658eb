# SPDX-License-Identifier: Apache-2.0
"""The gateway's use of rclpy: node, parameters, graph, status topic, log.

Besides `child/` and `demo/` the only room that imports rclpy. It hands the rest of the gateway
immutable values and takes the same; it imports no other outer room.
"""
