# SPDX-License-Identifier: Apache-2.0
"""The other side of the fork: supervision, what runs inside a script's process, schema checks.

What both sides of the fork use stands here, each program in a package of its own. Standard library
only (`rclpy`, `launch` and `jsonschema` where a module says so); nothing of the gateway is
imported here, since all of it is loaded by processes that have to stay small.
"""
