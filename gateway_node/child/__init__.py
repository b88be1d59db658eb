# SPDX-License-Identifier: Apache-2.0
"""The other side of the fork: spawner, supervisor, and what runs inside a script's process.

Standard library only (`rclpy`, `launch` and `jsonschema` where a module says so); nothing of the
gateway is imported here, since all of it is loaded by processes that have to stay small.
"""
