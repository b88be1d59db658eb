# SPDX-License-Identifier: Apache-2.0
"""Tells others of ends: which executions have a callback, where it may go, and when it goes.

May use aiohttp's client, and serves nothing. Knows executions and what is asked of them, no SQL.
"""
