# SPDX-License-Identifier: Apache-2.0
"""Callbacks, as a part of the schema's sixth step."""

CALLBACKS = (
    # Of the executions that have one, by their numbers. Where it stands changes with each attempt;
    # that it is due is what the execution's end says. Moments in seconds are of the time up.
    """
    CREATE TABLE callbacks (
        number INTEGER PRIMARY KEY,
        url TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        since_sec REAL,
        next_sec REAL,
        last_attempt_at TEXT,
        last_status INTEGER,
        last_error TEXT
    )
    """,
    "CREATE INDEX undelivered_callbacks ON callbacks (number) WHERE status = 'waiting'",
)
