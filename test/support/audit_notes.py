# SPDX-License-Identifier: Apache-2.0
"""The audit of a gateway as it lies on the disk."""

from collections.abc import Sequence
import datetime
import json
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def notes_in(state_dir: Path) -> list[Document]:
    """Return all notes, in order."""
    folder = state_dir / 'audit'
    files = [*sorted(folder.glob('audit-*.jsonl')), folder / 'audit.jsonl']
    return [json.loads(line) for each in files for line in each.read_bytes().splitlines()]


def of_the_request(note: Document) -> Document:
    """Return what a note has of a request, whatever came of it."""
    own = ('sequence', 'boot', 'up_sec', 'time', 'kind')
    return {key: value for key, value in note.items() if key not in own}


def was_under_way(notes: Sequence[Document], name: str, entity: str, lock_id: str) -> bool:
    """Tell whether somebody's change of an entity had been begun when a lock was answered."""
    ends = {note['begun']: note for note in notes if 'begun' in note}
    answers = [note for note in notes if note.get('result') == lock_id]
    return any(
        note['kind'] == 'begun'
        and (note.get('name'), note.get('entity')) == (name, entity)
        # The gateway was killed before it had answered one of them.
        and (not answers or time_of(note) <= time_of(answers[0]))
        and (
            note['sequence'] not in ends
            or not answers
            or time_of(ends[note['sequence']]) >= time_of(notes[answers[0]['begun'] - 1])
        )
        for note in notes
    )


def time_of(note: Document) -> datetime.datetime:
    """Return when a note was made."""
    return datetime.datetime.fromisoformat(note['time'])
