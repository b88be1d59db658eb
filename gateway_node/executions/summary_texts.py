# SPDX-License-Identifier: Apache-2.0
"""Summaries of executions as texts that are answered without being read: where what differs from
request to request goes.

`documents.summary_of` begins with the members that are looked for here. Ids, paths and versions
hold nothing that JSON escapes.
"""

import json
from typing import Any, NamedTuple

_BEGIN = '{"id":"'
_SECOND = '","status":"'
_SCHEDULE = ',"schedule":"'


class SummaryText(NamedTuple):
    """A summary as text, and in parts."""

    text: str
    execution_id: str
    status: str
    entity: str
    """Its path."""
    script_id: str
    script_version: str
    schedule: str | None
    """The id of another execution of the same script."""
    rest: str
    """All other members and the end: `,"script_name":"check","kind":…}`."""

    def read(self) -> dict[str, Any]:
        """Return the summary."""
        summary: dict[str, Any] = json.loads(self.text)
        return summary

    @property
    def href(self) -> str:
        """The execution's path below the base."""
        return f'/{self.entity}/scripts/{self.script_id}/executions/{self.execution_id}'

    def answered(self, base: str, *, is_outdated: bool) -> str:
        """Return what is answered below a base."""
        schedule = ''
        if self.schedule is not None:
            script = f'{base}/{self.entity}/scripts/{self.script_id}'
            schedule = f',"schedule":"{script}/executions/{self.schedule}"'
        return (
            f'{{"id":"{self.execution_id}","status":"{self.status}","href":"{base}{self.href}",'
            f'"entity":"{self.entity}","script_id":"{self.script_id}",'
            f'"script_version":"{self.script_version}",'
            f'"is_outdated":{"true" if is_outdated else "false"}{schedule}{self.rest}'
        )


def is_present_text(text: str) -> bool:
    """Tell whether a text is as `documents.to_document` writes it today; earlier versions wrote
    the entity behind the id."""
    return text.startswith(_SECOND, text.index('"', len(_BEGIN)))


def parts_of(text: str) -> SummaryText:
    """Take a text apart that is as `documents.to_document` writes it today."""
    # { id : "…" , status : "…" , and so on: every fourth piece is a value.
    pieces = text.split('"', 20)
    rest, schedule = pieces[20], None
    if rest.startswith(_SCHEDULE):
        schedule, _, rest = rest[len(_SCHEDULE) :].partition('"')
    return SummaryText(
        text, pieces[3], pieces[7], pieces[11], pieces[15], pieces[19], schedule, rest
    )
