# SPDX-License-Identifier: Apache-2.0
"""Evidence: what was around executions, taken and kept with them, and how two of them differ.

What is read of the robot comes through a port; nothing here knows ROS, HTTP or SQL.
"""
