# SPDX-License-Identifier: Apache-2.0
"""The step of the schema from which on documents are what is answered; see docs/decisions/043.

Rows keep the document of an earlier version until they change, and events theirs for good.
"""

from gateway_node.storage.statistics_schema import is_no_schedule, note_of, REASON_THEN

REASON = f"coalesce(json_extract({{row}}document, '$.error.vendor_code'), {REASON_THEN})"
"""Why an execution failed, in documents of any version."""

_NOTE = f'{note_of("NEW.", REASON)} WHERE {is_no_schedule("NEW.", REASON)}'

SERVED = (
    'DROP TRIGGER note_end',
    f"""
    CREATE TRIGGER note_end AFTER UPDATE OF ended_sec ON executions
    WHEN OLD.ended_sec IS NULL AND NEW.ended_sec IS NOT NULL
    BEGIN
        {_NOTE};
    END
    """,
    'DROP TRIGGER note_added_end',
    f"""
    CREATE TRIGGER note_added_end AFTER INSERT ON executions WHEN NEW.ended_sec IS NOT NULL
    BEGIN
        {_NOTE};
    END
    """,
    # The sequence of the last event that an earlier version told.
    'ALTER TABLE store_state ADD COLUMN earlier_events INTEGER NOT NULL DEFAULT 0',
    """
    UPDATE store_state SET earlier_events = coalesce(
        (SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0
    )
    """,
)
