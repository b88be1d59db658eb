# SPDX-License-Identifier: Apache-2.0
"""Errors of the script room."""

from collections.abc import Sequence
import errno
from pathlib import Path

from gateway_node.entities.values import EntityRef
from gateway_node.strict_json import clip
from gateway_node.violations import Violation


class ScriptLimitReached(Exception):
    """As many scripts are uploaded as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f'{limit} scripts are uploaded, as many as scripts.max_scripts allows; delete one'
        )
        self.limit = limit


class ScriptsTurnedOff(Exception):
    """This gateway has no scripts directory: `scripts.scripts_dir` is empty."""

    def __init__(self) -> None:
        super().__init__("scripts are turned off: the parameter 'scripts.scripts_dir' is empty")


class UploadsTurnedOff(Exception):
    """This gateway takes no scripts from clients: `scripts.allow_uploads` is false."""

    def __init__(self) -> None:
        super().__init__("uploads are turned off: the parameter 'scripts.allow_uploads' is false")


class ScriptNotFound(Exception):
    """The entity has no such script."""

    def __init__(self, entity: EntityRef, script_id: str) -> None:
        super().__init__(f'{entity.path} has no script {script_id!r}')
        self.entity = entity
        self.script_id = script_id


class VersionNotFound(Exception):
    """A script has, or had, no such version that is kept."""

    def __init__(self, script_id: str, version: str, there: tuple[str, ...], *, more: int) -> None:
        listed = ', '.join(there) + (f' and {more} more' if more else '')
        super().__init__(
            f'version {version!r} of script {script_id!r} is not kept; there are: {listed}'
        )
        self.script_id = script_id
        self.version = version


class ScriptIsManaged(Exception):
    """A managed script can be neither replaced nor deleted."""

    def __init__(self, script_id: str) -> None:
        super().__init__(
            f'script {script_id!r} is managed: it comes from the scripts manifest and can be '
            'neither replaced nor deleted'
        )
        self.script_id = script_id


class ScriptTooLarge(Exception):
    """A script's file is larger than `scripts.max_file_size_mb`."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f'the file is larger than {max_bytes} bytes (scripts.max_file_size_mb)')
        self.max_bytes = max_bytes


class ScriptRefused(Exception):
    """An upload's file name, metadata or schema is not acceptable."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class InstanceRefused(Exception):
    """The description of an instance is not acceptable."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        rest = f' (and {len(violations) - 1} more)' if len(violations) > 1 else ''
        super().__init__(f'instance{first.path} {first.reason}{rest}')
        self.violations = tuple(violations)


class ParametersInvalid(Exception):
    """Parameters do not match the script's parameters_schema."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class SecretsMissing(ParametersInvalid):
    """What is to be repeated had secrets in its parameters, which are not kept."""

    def __init__(self, pointers: tuple[str, ...]) -> None:
        reason = 'is a secret, which is not kept; give all parameters again'
        super().__init__(
            f'{_listed(pointers)} {reason}',
            tuple(Violation(path=each, reason=reason) for each in pointers),
        )
        self.pointers = pointers


class SecretsScheduled(ParametersInvalid):
    """A schedule would have to keep secrets."""

    def __init__(self, pointers: tuple[str, ...]) -> None:
        reason = "is a secret, which no schedule keeps; allowed: with execution_type 'now'"
        super().__init__(
            f'{_listed(pointers)} {reason}',
            tuple(Violation(path=each, reason=reason) for each in pointers),
        )
        self.pointers = pointers


def _listed(pointers: tuple[str, ...]) -> str:
    more = f' (and {len(pointers) - 1} more)' if len(pointers) > 1 else ''
    return f'the parameter {clip(pointers[0])}{more}'


class SchemaCheckUnavailable(Exception):
    """Nothing can be checked against a schema at the moment."""


class NoPlainFile(OSError):
    """Where a script's file should be lies something else: a directory, a pipe, a device."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, 'it is no plain file', str(path))


class LibraryUnavailable(Exception):
    """The scripts directory cannot be read or written at the moment; the message says why."""
