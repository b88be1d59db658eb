# SPDX-License-Identifier: Apache-2.0
"""The heart: executions, their transitions, the service that owns them and the ports it needs.

The room imports `scripts` and `entities`. It knows neither HTTP, SQL, ROS nor processes; those
come in through the ports of `ports.py` and `store_ports.py`.
"""
