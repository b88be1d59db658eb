# SPDX-License-Identifier: Apache-2.0
"""Instances of scripts, what on the robot starts and stops them, and what must hold.

It starts and stops nothing by itself: the service of executions does.
"""
