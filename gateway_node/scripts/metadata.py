# SPDX-License-Identifier: Apache-2.0
"""The metadata of an upload: what a client may say about a script, checked field by field.

Pure: a JSON document comes in as Python values, a `Metadata` goes out. The schema's inside is
checked elsewhere (`ports.SchemaChecker`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TYPE_CHECKING

from gateway_node.document_fields import (
    description,
    flag,
    LINE_BREAKS,
    number,
    read_fields,
    Reader,
    text,
    timeout,
    unknown,
)
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.evidence_policy import EvidencePolicy, read_evidence
from gateway_node.scripts.file_names import UPLOADED_KINDS
from gateway_node.scripts.values import Limits, Retries, ScriptKind, Verdict
from gateway_node.strict_json import pointer_token, shown
from gateway_node.violations import Violation

if TYPE_CHECKING:
    from gateway_node.conditions.values import Precondition

MAX_NAME_LENGTH = 255
MAX_ENTRY_LENGTH = 1024
MAX_CONFIRMATION_LENGTH = 1000
MAX_TAGS = 32
MAX_TAG_LENGTH = 64
MAX_RETRIES = 10
MAX_RETRY_DELAY_SEC = 86400.0

LIMIT_RANGES: Mapping[str, tuple[float, float]] = {
    'cpu_sec': (0.01, 30 * 86400),
    'memory_mb': (1, 16 * 1024 * 1024),
    'processes': (1, 100_000),
    'open_files': (16, 1_048_576),
    'file_size_mb': (0.001, 16 * 1024 * 1024),
    'output_mb': (0.001, 16 * 1024 * 1024),
}
"""Smallest and greatest value of each limit; an interpreter does not start with fewer files."""

SCRIPT_FIELDS = (
    'description',
    'tags',
    'timeout_sec',
    'single_execution',
    'warm',
    'proximity_proof_required',
    'confirmation',
    'parameters_schema',
    'exit_verdicts',
    'retries',
    'limits',
    'preconditions',
    'evidence',
)
"""What a `Script` takes over from its metadata as it is."""

EXIT_CODES = {str(code): code for code in range(256)}
"""As an object's names; the codes that a process can exit with (man 2 _exit)."""
_VERDICTS = {verdict.value: verdict for verdict in Verdict}

WHOLE_LIMITS = frozenset({'processes', 'open_files'})


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a client said about a script, and the defaults for what it did not say."""

    name: str | None = None
    """None: the file name."""
    description: str = ''
    tags: tuple[str, ...] = ()
    timeout_sec: float | None = None
    single_execution: bool = False
    warm: bool = True
    proximity_proof_required: bool = False
    confirmation: str | None = None
    parameters_schema: Mapping[str, Any] | None = None
    kind: ScriptKind | None = None
    """None: the file name tells."""
    entry: str | None = None
    """The path of the file that runs, in an archive; None: the upload is no archive."""
    exit_verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    retries: Retries | None = None
    limits: Limits = field(default_factory=Limits)
    preconditions: 'tuple[Precondition, ...]' = ()
    evidence: EvidencePolicy | None = None
    named: frozenset[str] = frozenset()
    """The fields that the document named; `null` names a field and sets its default."""

    def over(self, earlier: 'Metadata') -> 'Metadata':
        """Return `earlier` with the fields that this metadata names in place of its own."""
        changes = {name: getattr(self, name) for name in self.named}
        return replace(earlier, named=earlier.named | self.named, **changes)

    def script_fields(self) -> dict[str, Any]:
        """Return the `SCRIPT_FIELDS`."""
        return {name: getattr(self, name) for name in SCRIPT_FIELDS}

    def document(self) -> dict[str, Any]:
        """Return the JSON document that `parse_metadata` turns into this value again."""
        document = {name: getattr(self, name) for name in sorted(self.named)}
        if self.kind is not None:
            document['kind'] = self.kind.value
        if 'tags' in document:
            document['tags'] = list(self.tags)
        if 'exit_verdicts' in document:
            document['exit_verdicts'] = {
                str(code): verdict.value for code, verdict in self.exit_verdicts.items()
            }
        if self.retries is not None:
            document['retries'] = asdict(self.retries)
        if 'preconditions' in document:
            document['preconditions'] = [dict(each.document) for each in self.preconditions]
        if self.evidence is not None:
            document['evidence'] = self.evidence.document()
        if 'limits' in document:
            document['limits'] = {
                limit.name: value
                for limit in fields(Limits)
                if (value := getattr(self.limits, limit.name)) is not None
            }
        return document


def parse_metadata(document: object) -> Metadata:
    """Turn a metadata document into a `Metadata`.

    Raises:
        ScriptRefused: with every violation, as JSON Pointers into the document.
    """
    if not isinstance(document, dict):
        raise refusal([Violation(path='', reason=f'is {shown(document)}; allowed: an object')])
    violations: list[Violation] = []
    values = read_fields(document, '', violations, _READERS)
    if violations:
        raise refusal(violations)
    return Metadata(**values, named=frozenset(document))


def refusal(violations: list[Violation]) -> ScriptRefused:
    """Return the error for a document with violations; its message is the first one's."""
    first = violations[0]
    rest = f' (and {len(violations) - 1} more)' if len(violations) > 1 else ''
    message = f'metadata{first.path} {first.reason}{rest}'
    return ScriptRefused(message, tuple(violations))


def _name(value: object, path: str, violations: list[Violation]) -> str | None:
    return text(value, path, violations, limit=MAX_NAME_LENGTH)


def _entry(value: object, path: str, violations: list[Violation]) -> str | None:
    return text(value, path, violations, limit=MAX_ENTRY_LENGTH)


def _confirmation(value: object, path: str, violations: list[Violation]) -> str | None:
    return text(value, path, violations, limit=MAX_CONFIRMATION_LENGTH, controls=LINE_BREAKS)


def _tags(value: object, path: str, violations: list[Violation]) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        reason = f'is {shown(value)}; allowed: an array of texts'
    elif len(value) > MAX_TAGS:
        reason = f'has {len(value)} items; allowed: at most {MAX_TAGS}'
    else:
        tags = [
            text(tag, f'{path}/{index}', violations, limit=MAX_TAG_LENGTH)
            for index, tag in enumerate(value)
        ]
        return tuple(tag for tag in tags if tag is not None)
    violations.append(Violation(path=path, reason=reason))
    return None


def _schema(value: object, path: str, violations: list[Violation]) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    reason = f'is {shown(value)}; allowed: a JSON Schema, as an object'
    violations.append(Violation(path=path, reason=reason))
    return None


def _kind(value: object, path: str, violations: list[Violation]) -> ScriptKind | None:
    for kind in UPLOADED_KINDS:
        if value == kind.value:
            return kind
    allowed = ', '.join(kind.value for kind in UPLOADED_KINDS)
    why = ' (executable is for managed scripts)' if value == 'executable' else ''
    violations.append(Violation(path=path, reason=f'is {shown(value)}{why}; allowed: {allowed}'))
    return None


def _exit_verdicts(
    value: object, path: str, violations: list[Violation]
) -> dict[int, Verdict] | None:
    if not isinstance(value, dict):
        reason = f'is {shown(value)}; allowed: an object'
        violations.append(Violation(path=path, reason=reason))
        return None
    verdicts = {}
    for code, word in value.items():
        place = f'{path}/{pointer_token(code)}'
        if code not in EXIT_CODES:
            reason = 'is no exit code; allowed: "0" to "255"'
            violations.append(Violation(path=place, reason=reason))
        elif not isinstance(word, str) or word not in _VERDICTS:
            reason = f'is {shown(word)}; allowed: {", ".join(_VERDICTS)}'
            violations.append(Violation(path=place, reason=reason))
        else:
            verdicts[EXIT_CODES[code]] = _VERDICTS[word]
    return verdicts


def _retries(value: object, path: str, violations: list[Violation]) -> Retries | None:
    if not isinstance(value, dict):
        reason = f'is {shown(value)}; allowed: an object'
        violations.append(Violation(path=path, reason=reason))
        return None
    known = len(violations)
    violations += (
        unknown(f'{path}/{pointer_token(name)}', _RETRY_FIELDS)
        for name in value
        if name not in _RETRY_FIELDS
    )
    read: dict[str, Any] = {}
    for name, (bounds, whole) in _RETRY_FIELDS.items():
        if value.get(name) is not None:
            read[name] = number(
                value[name], f'{path}/{name}', violations, bounds=bounds, whole=whole
            )
    if value.get('limit') is None:
        violations.append(Violation(path=f'{path}/limit', reason='is missing'))
    return None if len(violations) > known else Retries(**read)


_RETRY_FIELDS = {
    'limit': ((1, MAX_RETRIES), True),
    'delay_sec': ((0, MAX_RETRY_DELAY_SEC), False),
}
"""Each with its bounds, and whether it is a whole number."""


def _limits(value: object, path: str, violations: list[Violation]) -> Limits | None:
    if not isinstance(value, dict):
        reason = f'is {shown(value)}; allowed: an object'
        violations.append(Violation(path=path, reason=reason))
        return None
    limits: dict[str, Any] = {}
    for name, bound in value.items():
        if name not in LIMIT_RANGES:
            violations.append(unknown(f'{path}/{pointer_token(name)}', LIMIT_RANGES))
        elif bound is not None:
            limits[name] = number(
                bound,
                f'{path}/{name}',
                violations,
                bounds=LIMIT_RANGES[name],
                whole=name in WHOLE_LIMITS,
            )
    return Limits(**limits)


def _preconditions(
    value: object, path: str, violations: list[Violation]
) -> 'tuple[Precondition, ...] | None':
    # Loaded with the first of them: the language is a twentieth of the start.
    from gateway_node.conditions.condition_reading import parse_preconditions

    return parse_preconditions(value, path, violations)


_READERS: Mapping[str, Reader] = {
    'name': _name,
    'description': description,
    'tags': _tags,
    'timeout_sec': timeout,
    'single_execution': flag,
    'warm': flag,
    'proximity_proof_required': flag,
    'confirmation': _confirmation,
    'parameters_schema': _schema,
    'kind': _kind,
    'entry': _entry,
    'exit_verdicts': _exit_verdicts,
    'retries': _retries,
    'limits': _limits,
    'preconditions': _preconditions,
    'evidence': read_evidence,
}
