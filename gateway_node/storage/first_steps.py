# SPDX-License-Identifier: Apache-2.0
"""The first three steps of the schema, as versions 0.1.0 and later wrote it."""

FIRST = (
    # `document` and `parameters` are the whole execution; the columns repeat what is searched for.
    # `parameters` may be long and comes last: rows are read without it.
    # `ended_sec` is the gateway's total time up at the end, NULL while the execution is open.
    """
    CREATE TABLE executions (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        status TEXT NOT NULL,
        scheduled INTEGER NOT NULL,
        parent TEXT,
        exit_code INTEGER,
        created_at TEXT NOT NULL,
        ended_sec REAL,
        document TEXT NOT NULL,
        parameters TEXT NOT NULL
    )
    """,
    'CREATE INDEX executions_of_script ON executions (entity, script_id, id)',
    'CREATE INDEX open_executions ON executions (id) WHERE ended_sec IS NULL',
    """
    CREATE INDEX ended_executions ON executions (status, ended_sec, id)
    WHERE ended_sec IS NOT NULL
    """,
    # AUTOINCREMENT: a number is never given again, not even that of the last row removed.
    """
    CREATE TABLE transitions (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        execution_id TEXT NOT NULL,
        status TEXT NOT NULL,
        at TEXT NOT NULL,
        cause TEXT NOT NULL
    )
    """,
    'CREATE INDEX transitions_of_execution ON transitions (execution_id)',
    # Counting a million rows takes long; triggers keep the counts in the commit of the change.
    """
    CREATE TABLE status_counts (
        status TEXT PRIMARY KEY,
        executions INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TRIGGER count_added AFTER INSERT ON executions
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0);
        UPDATE status_counts SET executions = executions + 1 WHERE status = NEW.status;
    END
    """,
    """
    CREATE TRIGGER count_changed AFTER UPDATE OF status ON executions
    WHEN OLD.status <> NEW.status
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0);
        UPDATE status_counts SET executions = executions + 1 WHERE status = NEW.status;
        UPDATE status_counts SET executions = executions - 1 WHERE status = OLD.status;
    END
    """,
    """
    CREATE TRIGGER count_removed AFTER DELETE ON executions
    BEGIN
        UPDATE status_counts SET executions = executions - 1 WHERE status = OLD.status;
    END
    """,
    # `up_sec`: the seconds that gateways on this database were up, all lives together.
    """
    CREATE TABLE store_state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        up_sec REAL NOT NULL,
        last_id TEXT
    )
    """,
    'INSERT INTO store_state VALUES (1, 0.0, NULL)',
    """
    CREATE TABLE identities (
        position INTEGER PRIMARY KEY,
        entity TEXT NOT NULL UNIQUE,
        holder TEXT NOT NULL,
        unseen_sec REAL NOT NULL
    )
    """,
)

LOG = (
    # `actor` is NULL for the gateway; `up_sec` the gateway's total time up.
    """
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        up_sec REAL NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        actor TEXT,
        cause TEXT,
        changes TEXT NOT NULL
    )
    """,
    """
    INSERT INTO sqlite_sequence (name, seq)
    SELECT 'events', seq FROM sqlite_sequence WHERE name = 'transitions'
    """,
    # Each transition becomes an event, the newest hundred thousand of them. The last one of an
    # execution brings the summary as it is; those before, as far as it tells what was then.
    """
    INSERT INTO events (sequence, at, up_sec, kind, subject, actor, cause, changes)
    SELECT
        sequence,
        at,
        (SELECT up_sec FROM store_state),
        CASE
            WHEN status = 'prepared' THEN iif(made, 'schedule.made', 'execution.accepted')
            WHEN status = 'running' THEN 'execution.running'
            ELSE iif(made AND started_at IS NULL, 'schedule.removed', 'execution.ended')
        END,
        entity || '/scripts/' || script_id || '/executions/' || execution_id,
        iif(
            status = 'prepared' AND trigger = 'manual',
            '{"name":null,"role":"admin","origin":"unknown"}',
            NULL
        ),
        CASE status WHEN 'prepared' THEN trigger WHEN 'running' THEN NULL ELSE cause END,
        CASE
            WHEN last THEN document
            WHEN status = 'running' THEN json_object('status', status, 'started_at', started_at)
            ELSE json_set(
                json_remove(
                    document, '$.stop_trigger', '$.started_at', '$.completed_at', '$.duration_ms',
                    '$.progress', '$.exit_code', '$.signal', '$.leftover_processes',
                    '$.unkillable_processes', '$.resource_use', '$.failure', '$.warnings'
                ),
                '$.status', status, '$.scheduled', json(iif(made, 'true', 'false'))
            )
        END
    FROM (
        SELECT
            transitions.*,
            entity,
            script_id,
            document,
            json_extract(document, '$.trigger.type') AS trigger,
            json_extract(document, '$.started_at') AS started_at,
            json_extract(document, '$.trigger.type') = 'manual' AND (
                json_extract(document, '$.execution_type') IN ('on_restart', 'once_on_restart')
                OR json_extract(document, '$.execution_type') = 'now_and_on_restart'
                AND parent IS NOT NULL
            ) AS made,
            transitions.sequence = (
                SELECT max(sequence) FROM transitions AS others
                WHERE others.execution_id = transitions.execution_id
            ) AS last
        FROM transitions JOIN executions ON executions.id = transitions.execution_id
        WHERE transitions.sequence > (SELECT max(sequence) FROM transitions) - 100000
    )
    ORDER BY sequence
    """,
    'DROP TABLE transitions',
    # What the log last told of each script: events go with time, and the scripts lie elsewhere.
    """
    CREATE TABLE told_scripts (
        subject TEXT PRIMARY KEY,
        summary TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    # Who has not read everything behind a place yet, and needs it.
    """
    CREATE TABLE followers (
        name TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # Names the history that the log tells.
    "ALTER TABLE store_state ADD COLUMN epoch TEXT NOT NULL DEFAULT ''",
    'UPDATE store_state SET epoch = lower(hex(randomblob(8)))',
)

KEPT_BYTES = (
    # Of the disk, that is taken by all that is kept of an ended execution, its documents
    # included. NULL before its end, and where nobody has measured it. What expires is looked for
    # in the index alone: `kept_bytes` lies behind `parameters`, which may be long.
    'ALTER TABLE executions ADD COLUMN kept_bytes INTEGER',
    'DROP INDEX ended_executions',
    """
    CREATE INDEX ended_executions ON executions (status, ended_sec, id, kept_bytes)
    WHERE ended_sec IS NOT NULL
    """,
    """
    CREATE INDEX unmeasured_executions ON executions (id)
    WHERE ended_sec IS NOT NULL AND kept_bytes IS NULL
    """,
    'ALTER TABLE status_counts ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0',
    'DROP TRIGGER count_added',
    'DROP TRIGGER count_changed',
    'DROP TRIGGER count_removed',
    """
    CREATE TRIGGER count_added AFTER INSERT ON executions
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0, 0);
        UPDATE status_counts SET
            executions = executions + 1,
            kept_bytes = kept_bytes + coalesce(NEW.kept_bytes, 0)
        WHERE status = NEW.status;
    END
    """,
    """
    CREATE TRIGGER count_changed AFTER UPDATE OF status, kept_bytes ON executions
    WHEN OLD.status <> NEW.status OR OLD.kept_bytes IS NOT NEW.kept_bytes
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0, 0);
        UPDATE status_counts SET
            executions = executions + 1,
            kept_bytes = kept_bytes + coalesce(NEW.kept_bytes, 0)
        WHERE status = NEW.status;
        UPDATE status_counts SET
            executions = executions - 1,
            kept_bytes = kept_bytes - coalesce(OLD.kept_bytes, 0)
        WHERE status = OLD.status;
    END
    """,
    """
    CREATE TRIGGER count_removed AFTER DELETE ON executions
    BEGIN
        UPDATE status_counts SET
            executions = executions - 1,
            kept_bytes = kept_bytes - coalesce(OLD.kept_bytes, 0)
        WHERE status = OLD.status;
    END
    """,
)
