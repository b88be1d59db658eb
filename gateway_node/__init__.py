# SPDX-License-Identifier: Apache-2.0
"""Diagnostic script gateway for ROS 2 robots; `main` is the entry point."""

__version__ = '0.1.0'
