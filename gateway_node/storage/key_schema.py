# SPDX-License-Identifier: Apache-2.0
"""The part of the schema that keeps idempotency keys; see `kept_keys.py`."""

KEPT_KEYS = (
    # `up_sec` is the gateway's total time up when the key was used; it grows with the number.
    # `made` is 0 while nobody noted that the script is there whose id was given.
    """
    CREATE TABLE idempotency_keys (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        resource_id TEXT NOT NULL,
        made INTEGER NOT NULL,
        up_sec REAL NOT NULL,
        UNIQUE (scope, name)
    )
    """,
    'CREATE INDEX keys_not_made ON idempotency_keys (resource_id) WHERE NOT made',
)
