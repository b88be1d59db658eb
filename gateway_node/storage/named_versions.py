# SPDX-License-Identifier: Apache-2.0
"""Which versions of scripts the executions name that are kept, in SQL."""

import sqlite3

NAMED_VERSIONS = (
    # How many executions name each version: to look for that in a million of them takes seconds.
    # Triggers keep it in the commit of the change, and a version that is named no more is no row.
    """
    CREATE TABLE named_versions (
        script_id TEXT NOT NULL,
        version TEXT NOT NULL,
        executions INTEGER NOT NULL,
        PRIMARY KEY (script_id, version)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO named_versions
    SELECT script_id, json_extract(document, '$.script_version') AS version, count(*)
    FROM executions GROUP BY script_id, version
    """,
    """
    CREATE TRIGGER version_named AFTER INSERT ON executions
    BEGIN
        INSERT INTO named_versions
        VALUES (NEW.script_id, json_extract(NEW.document, '$.script_version'), 1)
        ON CONFLICT (script_id, version) DO UPDATE SET executions = executions + 1;
    END
    """,
    # What waits for a start of the gateway may run in another version than it was accepted in.
    """
    CREATE TRIGGER other_version_named AFTER UPDATE OF document ON executions
    WHEN OLD.status = 'prepared'
        AND json_extract(OLD.document, '$.script_version')
            <> json_extract(NEW.document, '$.script_version')
    BEGIN
        INSERT INTO named_versions
        VALUES (NEW.script_id, json_extract(NEW.document, '$.script_version'), 1)
        ON CONFLICT (script_id, version) DO UPDATE SET executions = executions + 1;
        UPDATE named_versions SET executions = executions - 1
        WHERE script_id = OLD.script_id
            AND version = json_extract(OLD.document, '$.script_version');
        DELETE FROM named_versions
        WHERE script_id = OLD.script_id
            AND version = json_extract(OLD.document, '$.script_version') AND executions = 0;
    END
    """,
    """
    CREATE TRIGGER version_not_named AFTER DELETE ON executions
    BEGIN
        UPDATE named_versions SET executions = executions - 1
        WHERE script_id = OLD.script_id
            AND version = json_extract(OLD.document, '$.script_version');
        DELETE FROM named_versions
        WHERE script_id = OLD.script_id
            AND version = json_extract(OLD.document, '$.script_version') AND executions = 0;
    END
    """,
)
"""The part of the schema that knows them. It comes last in its step: triggers go with a table of
executions that is made anew."""


def read_named_versions(connection: sqlite3.Connection, script_id: str) -> dict[str, int]:
    """Return how many executions name each version of a script."""
    query = 'SELECT version, executions FROM named_versions WHERE script_id = ?'
    return dict(connection.execute(query, (script_id,)))
