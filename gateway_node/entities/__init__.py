# SPDX-License-Identifier: Apache-2.0
"""What can be diagnosed: apps, components, areas and functions, as values and a directory.

Innermost room: it imports no other room, no ROS and no HTTP. It learns of the robot through
`GraphSnapshot` values that somebody hands in.
"""
