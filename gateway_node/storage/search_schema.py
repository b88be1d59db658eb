# SPDX-License-Identifier: Apache-2.0
"""What executions are found by, as a part of the schema's fourth step.

See decision 039. `terms.py` writes it, `walks.py` reads it.
"""

_FIELDS = (
    (1, 'entity'),
    (2, 'script_id'),
    (3, 'iif(ended_sec IS NULL, NULL, status)'),
    (4, 'CAST(exit_code AS TEXT)'),
    (5, "json_extract(document, '$.failure.reason')"),
    (7, "json_extract(document, '$.trigger.type')"),
    (8, "json_extract(document, '$.trigger.username')"),
    (9, 'parent'),
    (10, "json_extract(document, '$.schedule')"),
    (12, "entity || '/scripts/' || script_id"),
)
"""Values of `terms.TermField` that executions of versions before have, each with its value."""

_ORDERED = (
    # From here on, executions are in the order of their ids: those that are not are renumbered.
    # Moved out of the way first, for numbers are unique at any moment.
    'CREATE TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)',
    """
    INSERT INTO moved
    SELECT by_id.number, by_number.number FROM
        (SELECT number, row_number() OVER (ORDER BY id) AS place FROM executions) AS by_id
        JOIN (SELECT number, row_number() OVER (ORDER BY number) AS place FROM executions)
        AS by_number USING (place)
    WHERE by_id.number <> by_number.number
    """,
    """
    UPDATE executions SET number = -(SELECT new FROM moved WHERE old = number)
    WHERE number IN (SELECT old FROM moved)
    """,
    'UPDATE executions SET number = -number WHERE number < 0',
    'DROP TABLE moved',
    'DROP INDEX executions_of_script',
    'DROP INDEX open_executions',
    'CREATE INDEX open_executions ON executions (number) WHERE ended_sec IS NULL',
)

_TERMS = (
    """
    CREATE TABLE terms (
        term INTEGER PRIMARY KEY,
        field INTEGER NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (field, value)
    )
    """,
    # The executions of each term, in their order.
    """
    CREATE TABLE postings (
        term INTEGER NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (term, number)
    ) WITHOUT ROWID
    """,
    # Under which names a script was executed.
    """
    CREATE TABLE script_names (
        name TEXT NOT NULL,
        script_id TEXT NOT NULL,
        PRIMARY KEY (name, script_id)
    ) WITHOUT ROWID
    """,
)

_TERMS_OF_BEFORE = tuple(
    statement
    for field, value in _FIELDS
    for statement in (
        f"""
        INSERT INTO terms (field, value)
        SELECT DISTINCT {field}, {value} FROM executions WHERE {value} IS NOT NULL
        """,
        f"""
        INSERT INTO postings
        SELECT term, number FROM executions JOIN terms ON field = {field} AND value = {value}
        ORDER BY term, number
        """,
    )
)

_SET_BACKS = (
    # Executions that were created before the one in front of them: the clock was set back there,
    # and between two of them the moments grow with the numbers.
    'CREATE TABLE set_backs (number INTEGER PRIMARY KEY)',
    """
    INSERT INTO set_backs
    SELECT number FROM (
        SELECT number, created_at, lag(created_at) OVER (ORDER BY number) AS before
        FROM executions
    )
    WHERE created_at < before
    """,
)

SEARCH = (*_ORDERED, *_TERMS, *_TERMS_OF_BEFORE, *_SET_BACKS)
