# SPDX-License-Identifier: Apache-2.0
"""What an uploaded file may be called, and which kind of script its name makes it.

A file name is a hint of the kind, and the name of the file on disk in a folder of its version.
"""

import re
import unicodedata

from gateway_node.document_fields import CONTROL
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.values import MENDED_FOLDER, ScriptKind
from gateway_node.strict_json import shown

MAX_FILE_NAME_BYTES = 255
"""NAME_MAX of Linux file systems, so that a client can save the file under its name again."""

SUFFIXES = {
    '.py': ScriptKind.PYTHON,
    '.sh': ScriptKind.SH,
    '.bash': ScriptKind.BASH,
}
"""The kind that each suffix means, where the name is not a launch fragment's."""

_LAUNCH_NAME = re.compile(r'(?:^|[._-])launch\.(?:py|xml|yaml|yml)$|[^.]\.launch$')
"""The names that ROS gives launch files: `x.launch.py`, `x_launch.py`, `launch.py`, `x.launch`."""
_LAUNCH_FORMS = ('.py', '.xml', '.yaml', '.yml', '.launch')
"""Endings by which launch knows how a file is to be read."""

KNOWN_NAMES = (
    f'{", ".join(SUFFIXES)}, or .launch.py, _launch.py, launch.py and the same with xml, yaml or '
    'yml, or .launch'
)
"""What of a file's name tells its kind, for messages."""
LAUNCH_ENDINGS = ', '.join(_LAUNCH_FORMS)
"""What a launch fragment's name ends with, for messages."""

UPLOADED_KINDS = tuple(kind for kind in ScriptKind if kind is not ScriptKind.EXECUTABLE)

_CHOICES = {ScriptKind.SH: ScriptKind.BASH, ScriptKind.PYTHON: ScriptKind.LAUNCH}
"""What the metadata may make of a kind that the name means."""

_SEPARATORS = frozenset('/\\\u2044\u2215\u2216\u29f5\u29f8\u29f9')
"""Path separators and the characters that look like one but that NFKC leaves alone."""
_INVISIBLE = CONTROL | {'Cf', 'Co', 'Cn'}
"""Unicode categories that show nothing, turn the direction, or belong to nobody."""


def plain_name_fault(name: str) -> str | None:
    """Return why a name is no plain name of a file or a folder, or None where it is one."""
    if not name:
        return 'is empty'
    for character in name:
        if unicodedata.category(character) in _INVISIBLE:
            return f'has the control or format character U+{ord(character):04X}'
    # What a system that folds compatibility forms would make of it must be as plain.
    for form in (name, unicodedata.normalize('NFKC', name)):
        if _SEPARATORS & set(form):
            return 'has a path separator'
        if form in ('.', '..'):
            return 'names a directory'
        if form != form.strip():
            return 'begins or ends with a space'
    if len(name.encode()) > MAX_FILE_NAME_BYTES:
        return f'is longer than {MAX_FILE_NAME_BYTES} bytes'
    return None


def check_file_name(file_name: str) -> None:
    """Raise ScriptRefused where `file_name` is no plain file name."""
    reason = plain_name_fault(file_name)
    if file_name == MENDED_FOLDER:
        reason = 'is the name of the folder of mended copies'
    if reason is not None:
        raise ScriptRefused(
            f'the file name {shown(file_name)} {reason}; allowed: a plain file name'
        )


def kind_by_name(file_name: str) -> ScriptKind | None:
    """Return the kind that a file's name means, whatever the case; None where it means none."""
    lower = file_name.lower()
    if _LAUNCH_NAME.search(lower):
        return ScriptKind.LAUNCH
    for suffix, kind in SUFFIXES.items():
        if lower.endswith(suffix) and len(lower) > len(suffix):
            return kind
    return None


def may_be_launch_fragment(file_name: str) -> bool:
    """Tell whether launch knows by a file's name how it is to be read."""
    return file_name.lower().endswith(_LAUNCH_FORMS)


def settle_kind(
    file_name: str, wanted: ScriptKind | None, present: ScriptKind | None = None
) -> ScriptKind:
    """Return the kind of an uploaded file.

    A name that means a kind decides. `wanted`, from the metadata, says it where the name does not,
    and may choose bash for a `.sh` and launch for a `.py`. `present`, the kind of the version that
    is replaced, stays where neither says anything, and where it was so chosen.

    Raises:
        ScriptRefused: nothing tells the kind, or `wanted` contradicts the name.
    """
    by_name = kind_by_name(file_name)
    choice = _CHOICES.get(by_name) if by_name else None
    if wanted is None and present is not None and present is choice:
        wanted = present
    kind = wanted or by_name or present
    if kind is None:
        of_archive = " and no 'entry' (of an archive: the path of the file that runs)"
        raise ScriptRefused(
            f'the file name {file_name!r} has no known suffix ({KNOWN_NAMES}) and the '
            f"metadata no 'kind' ({', '.join(k.value for k in UPLOADED_KINDS)})"
            f'{of_archive if file_name.lower().endswith(".zip") else ""}'
        )
    if by_name not in (None, kind) and kind is not choice:
        raise ScriptRefused(
            f"the kind '{kind.value}' contradicts the file name {file_name!r}, which means "
            f"'{by_name.value if by_name else None}'"
        )
    if kind is ScriptKind.LAUNCH and not may_be_launch_fragment(file_name):
        raise ScriptRefused(
            f'the file name {file_name!r} does not tell the form of a launch fragment; '
            f'allowed: names that end with {LAUNCH_ENDINGS}'
        )
    return kind
