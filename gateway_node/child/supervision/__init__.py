# SPDX-License-Identifier: Apache-2.0
"""Starts one script, keeps its limits, drains it and ends its whole tree: spawner and supervisor.

Standard library only. Forked without a new Python: whatever is imported here every supervisor
holds in memory.
"""
