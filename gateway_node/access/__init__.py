# SPDX-License-Identifier: Apache-2.0
"""Who may do what: credentials, roles, locks, proximity, audit.

It knows executions, scripts and entities, and nothing of HTTP, SQL or ROS.
"""
