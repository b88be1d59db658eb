# SPDX-License-Identifier: Apache-2.0
"""What can be true of a robot: the language in which triggers and preconditions are written.

Pure values and rules: it knows neither ROS nor executions, and has no clock of its own.
"""
