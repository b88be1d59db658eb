# SPDX-License-Identifier: Apache-2.0
"""Summaries of executions as texts that are answered without being read: where what differs from
request to request goes.

`documents.summary_of` begins with the members that are looked for here. Ids, paths, versions and
the names of instances hold nothing that JSON escapes.
"""

from collections.abc import Callable, Iterable
import json
from typing import Any, NamedTuple

_BEGIN = '{"id":"'
_SECOND = '","status":"'
_INSTANCE = ',"instance":"'
_SCHEDULE = ',"schedule":"'
_USUALLY_AT = len(_BEGIN) + len('exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8')
"""Where `_SECOND` stands behind an id of the gateway's."""
_CUTS = 20
"""Quotes up to the end of the script's version."""
_INSTANCE_CUTS = 8
"""From there up to the end of the instance's."""


class InstanceThen(NamedTuple):
    """An instance, as it was when something was accepted for it."""

    name: str
    version: str


IsOutdated = Callable[[str, str, str, InstanceThen | None], bool]
"""Tells it of a version, by the entity's path, the script's id, the version, and the instance
where it was on behalf of one."""


class SummaryText(tuple[str, ...]):
    """A summary as text, cut at the quotes of its first members: every fourth piece is a value."""

    __slots__ = ()

    @property
    def execution_id(self) -> str:
        """The execution's id."""
        return self[3]

    @property
    def status(self) -> str:
        """Its status."""
        return self[7]

    @property
    def entity(self) -> str:
        """The path of its entity."""
        return self[11]

    @property
    def script_id(self) -> str:
        """The id of its script."""
        return self[15]

    @property
    def script_version(self) -> str:
        """The version that it executes."""
        return self[19]

    @property
    def script(self) -> tuple[str, str]:
        """The path of its entity, and the id of its script."""
        return self[11], self[15]

    @property
    def href(self) -> str:
        """Its path below the base."""
        return f'/{self.entity}/scripts/{self.script_id}/executions/{self.execution_id}'

    @property
    def instance(self) -> InstanceThen | None:
        """The instance that it is of; None where it is of none."""
        rest = self[20]
        return _cut_instance(rest)[0] if rest.startswith(_INSTANCE) else None

    def read(self) -> dict[str, Any]:
        """Return the summary."""
        summary: dict[str, Any] = json.loads('"'.join(self))
        return summary


def is_present_text(text: str) -> bool:
    """Tell whether a text is as `documents.to_document` writes it today; earlier versions wrote
    the entity behind the id."""
    at = _USUALLY_AT
    return text[at : at + len(_SECOND)] == _SECOND or text.startswith(
        _SECOND, text.index('"', len(_BEGIN))
    )


def parts_of(text: str) -> SummaryText:
    """Take a text apart that is as `documents.to_document` writes it today."""
    return SummaryText(text.split('"', _CUTS))


def answered(base: str, summaries: Iterable[SummaryText], is_outdated: IsOutdated) -> str:
    """Return what is answered of executions below a base, with a comma between them."""
    pieces: list[str] = []
    of_script: dict[tuple[str, str, str, InstanceThen | None], tuple[str, str]] = {}
    for each in summaries:
        execution_id, status, rest = each[3], each[7], each[20]
        instance = None
        if rest.startswith(_INSTANCE):
            instance, rest = _cut_instance(rest)
        script = each[11], each[15], each[19], instance
        told = of_script.get(script)
        if told is None:
            told = of_script[script] = _of_script(base, *script, is_outdated(*script))
        href, members = told
        pieces += (_BEGIN, execution_id, _SECOND, status, href, execution_id, members)
        if rest.startswith(_SCHEDULE):
            # `href` begins with the quote behind the status.
            _, rest = rest.split(_SCHEDULE, 1)
            pieces += (_SCHEDULE, href[_HREF_BEGINS:])
        pieces += (rest, ',')
    return ''.join(pieces[:-1])


def _cut_instance(rest: str) -> tuple[InstanceThen, str]:
    _, _, _, name, _, _, _, version, rest = rest.split('"', _INSTANCE_CUTS)
    return InstanceThen(name, version), rest


_HREF = '","href":"'
_HREF_BEGINS = len(_HREF)


def _of_script(
    base: str,
    entity: str,
    script_id: str,
    version: str,
    instance: InstanceThen | None,
    is_outdated: bool,
) -> tuple[str, str]:
    """Return what stands between the status and the end of the href, and what is behind that."""
    of_instance = ''
    if instance is not None:
        of_instance = f'{_INSTANCE}{instance.name}","instance_version":"{instance.version}"'
    return (
        f'{_HREF}{base}/{entity}/scripts/{script_id}/executions/',
        f'","entity":"{entity}","script_id":"{script_id}","script_version":"{version}"'
        f'{of_instance},"is_outdated":{"true" if is_outdated else "false"}',
    )
