# SPDX-License-Identifier: Apache-2.0
"""A node of the gateway's that nobody has to see."""

from collections.abc import Iterator
import contextlib

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from gateway_node.entities.values import NodeName


@contextlib.contextmanager
def hidden_node(context: Context, name: NodeName) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    """Make a node and what it is spun with, for a while; RuntimeError and others of rclpy's.

    Nothing but what is needed, and nothing of what was said of the gateway's own node: neither its
    name nor use_sim_time, which would hold on the clock with the simulation's.
    """
    with contextlib.ExitStack() as stack:
        node = rclpy.create_node(
            name.name,
            namespace=name.namespace,
            context=context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter('start_type_description_service', value=False)],
        )
        stack.callback(node.destroy_node)
        executor = SingleThreadedExecutor(context=context)
        stack.callback(executor.shutdown)
        executor.add_node(node)
        yield node, executor
