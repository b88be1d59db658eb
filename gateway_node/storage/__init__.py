# SPDX-License-Identifier: Apache-2.0
"""What outlives the gateway: executions, their log and the entities' ids, in one SQLite file.

The only room that knows SQL. It imports the values and ports of `executions` and `entities` and
no other outer room. The file is `<state_dir>/gateway.sqlite3`; who opens it holds the directory's
lock (`lock.py`).
"""
