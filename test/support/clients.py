# SPDX-License-Identifier: Apache-2.0
"""Who the tests act as."""

from gateway_node.executions.actors import Actor, Role

CLIENT = Actor(name=None, role=Role.ADMIN, origin='192.0.2.7')
