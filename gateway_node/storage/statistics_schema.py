# SPDX-License-Identifier: Apache-2.0
"""The part of the database's schema in which ends are counted; see docs/decisions/034."""

REASON_THEN = "json_extract({row}document, '$.failure.reason')"
"""Why an execution failed, in documents of the version that this step came with."""

_NOTE = """
    INSERT INTO uncounted_ends (
        number, ended_at, status, vendor_code, verdict, entity, script_id, script_name, duration_ms
    )
    SELECT
        {row}number,
        CAST(strftime('%s', coalesce(
            json_extract({row}document, '$.completed_at'), {row}created_at
        )) AS INTEGER),
        {row}status,
        {reason},
        json_extract({row}document, '$.verdict'),
        {row}entity,
        {row}script_id,
        json_extract({row}document, '$.script_name'),
        json_extract({row}document, '$.duration_ms')
"""
_IS_NO_SCHEDULE = """
    NOT (
        json_extract({row}document, '$.execution_type') IS NOT 'now'
        AND json_extract({row}document, '$.started_at') IS NULL
        AND json_extract({row}document, '$.trigger.type') IS 'manual'
        AND json_extract({row}document, '$.schedule') IS NULL
        AND (
            {row}status = 'terminated'
            OR {reason} IS 'x-gateway-script-gone'
        )
    )
"""


def note_of(row: str, reason: str) -> str:
    """Return what notes the ends of rows, with the expression for why they failed: of one, which
    is named `NEW.`, or of a FROM that follows and a WHERE that `is_no_schedule` begins."""
    return _NOTE.format(row=row, reason=reason.format(row=row))


def is_no_schedule(row: str, reason: str) -> str:
    """Return what holds for all rows but what `Execution.ended_as_schedule`."""
    return _IS_NO_SCHEDULE.format(row=row, reason=reason.format(row=row))


STATISTICS: tuple[str, ...] = (
    # An end is noted here in the commit that records it, and counted with some others soon after:
    # one page of the disk for an end, and few for many. `ended_at` is in seconds since 1970.
    """
    CREATE TABLE uncounted_ends (
        place INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        status TEXT NOT NULL,
        vendor_code TEXT,
        verdict TEXT,
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        script_name TEXT,
        duration_ms INTEGER
    )
    """,
    f"""
    CREATE TRIGGER note_end AFTER UPDATE OF ended_sec ON executions
    WHEN OLD.ended_sec IS NULL AND NEW.ended_sec IS NOT NULL
    BEGIN
        {note_of('NEW.', REASON_THEN)} WHERE {is_no_schedule('NEW.', REASON_THEN)};
    END
    """,
    f"""
    CREATE TRIGGER note_added_end AFTER INSERT ON executions WHEN NEW.ended_sec IS NOT NULL
    BEGIN
        {note_of('NEW.', REASON_THEN)} WHERE {is_no_schedule('NEW.', REASON_THEN)};
    END
    """,
    # What ends are counted by. Each kind of end has a row without entity and script as well, for
    # all of these together. `newest` is the number of an execution, as in `counted_periods`.
    """
    CREATE TABLE end_kinds (
        id INTEGER PRIMARY KEY,
        status TEXT NOT NULL,
        vendor_code TEXT,
        verdict TEXT,
        entity TEXT,
        script_id TEXT,
        script_name TEXT,
        newest INTEGER NOT NULL
    )
    """,
    'CREATE INDEX end_kinds_of_script ON end_kinds (script_id, entity)',
    # Hours, days, months and years by UTC in which something ended, from `begins` to before
    # `ends`. Where `parts_gone`, what is within it is not counted any more but as a whole.
    """
    CREATE TABLE counted_periods (
        id INTEGER PRIMARY KEY,
        level INTEGER NOT NULL,
        begins INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        counts INTEGER NOT NULL,
        newest INTEGER NOT NULL,
        parts_gone INTEGER NOT NULL,
        UNIQUE (level, begins)
    )
    """,
    # `executions` of the kind ended in the period, `measured` of them with a duration.
    """
    CREATE TABLE end_counts (
        period INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        executions INTEGER NOT NULL,
        measured INTEGER NOT NULL,
        total_ms INTEGER NOT NULL,
        min_ms INTEGER,
        max_ms INTEGER,
        histogram BLOB NOT NULL,
        PRIMARY KEY (period, kind)
    ) WITHOUT ROWID
    """,
    f"""
    {note_of('', REASON_THEN)}
    FROM executions WHERE ended_sec IS NOT NULL AND {is_no_schedule('', REASON_THEN)}
    ORDER BY number
    """,
)
