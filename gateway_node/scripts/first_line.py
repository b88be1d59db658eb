# SPDX-License-Identifier: Apache-2.0
"""The interpreter that a script's first line asks for, read as the kernel reads it.

Pure. The kernel's rules (execve(2), "Interpreter scripts"): a path behind `#!`, then at most one
argument, which is all the rest of the line and is not split; the line has at most 255 bytes.
`env -S` is the one exception: it splits (env(1)).
"""

from collections.abc import Sequence
import posixpath
import re
import shlex

from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.mending import MARK
from gateway_node.scripts.values import Interpreter, ScriptKind
from gateway_node.strict_json import shown

MAX_FIRST_LINE_BYTES = 255
"""What the kernel reads of a first line, without its end; it would cut a longer one."""

_SHELLS = re.compile(r'sh|dash|bash')
_PYTHONS = re.compile(r'python(?:3(?:\.\d+)?)?')
_FAMILIES = {
    ScriptKind.SH: (_SHELLS, 'sh, dash, bash'),
    ScriptKind.BASH: (_SHELLS, 'sh, dash, bash'),
    ScriptKind.PYTHON: (_PYTHONS, 'python, python3, python3.<minor>'),
}
"""What runs each kind; launch fragments are read by launch, executables by the kernel."""
_COMMON_FOLDERS = frozenset({'/bin', '/usr/bin', '/usr/local/bin'})
"""A Python there is whichever the machine has: the script environment's stands in for it."""
_SPLIT = re.compile(r'(?:-S|--split-string=)(.*)', re.DOTALL)
_EXPANDED = re.compile(r'[\\$#]')
"""What `env -S` gives a meaning of its own."""


def first_line_of(head: bytes) -> str:
    """Return the first line of a file that begins with `head`, where it is one of `#!`, else ''.

    A byte order mark before it and the line's end are left out, a carriage return too. What is
    longer than the kernel reads is cut behind that. Other bytes than UTF-8 survive in it.
    """
    line = head.removeprefix(MARK).partition(b'\n')[0].removesuffix(b'\r')
    if not line.startswith(b'#!'):
        return ''
    return line[: MAX_FIRST_LINE_BYTES + 1].decode(errors='surrogateescape')


def interpreter_of(first_line: str, kind: ScriptKind) -> Interpreter | None:
    """Return what a first line asks for; None where the kind's own interpreter is to run it.

    Raises:
        ScriptRefused: it asks for what does not run this kind, or in a way that the kernel does
            not understand.
    """
    family = _FAMILIES.get(kind)
    words = first_line.removeprefix('#!').strip(' \t')
    if family is None or not words:
        return None
    if len(first_line.encode(errors='surrogateescape')) > MAX_FIRST_LINE_BYTES:
        raise _refusal(first_line, f'is longer than the {MAX_FIRST_LINE_BYTES} bytes that count')
    if '\0' in words:
        raise _refusal(first_line, 'has a NUL')
    path, *rest = re.split(r'[ \t]+', words, maxsplit=1)
    by_env = posixpath.basename(path) == 'env'
    program, options = _through_env(first_line, rest, kind) if by_env else (path, rest)
    if not path.startswith('/') or ('/' in program and not program.startswith('/')):
        raise _refusal(first_line, 'does not name its interpreter by an absolute path')
    pattern, allowed = family
    if not pattern.fullmatch(posixpath.basename(program)):
        raise _refusal(
            first_line,
            f"asks for {program!a}, which does not run scripts of kind '{kind.value}'; "
            f'allowed: {allowed} (by an absolute path, or by /usr/bin/env), or no such line',
        )
    if kind is ScriptKind.PYTHON and posixpath.dirname(program) in _COMMON_FOLDERS:
        program = posixpath.basename(program)
    return Interpreter(program=program, options=tuple(options))


def asked(first_line: str, kind: ScriptKind) -> tuple[Interpreter | None, str]:
    """Return what `interpreter_of` returns and no fault, or None and why that is refused."""
    try:
        return interpreter_of(first_line, kind), ''
    except ScriptRefused as error:
        return None, str(error)


def _through_env(
    first_line: str, rest: Sequence[str], kind: ScriptKind
) -> tuple[str, Sequence[str]]:
    """Return the program and its options that `env` makes of its one argument."""
    argument = rest[0] if rest else ''
    split = _SPLIT.fullmatch(argument)
    if split is None:
        if re.search(r'\s', argument):
            _, fault = asked(f'#!/usr/bin/env -S {argument}', kind)
            meant = 'and one program, or -S, one program and its options'
            raise _refusal(
                first_line,
                f'makes env look for a program that is called {argument!a}, as a first line has '
                'one argument; allowed: /usr/bin/env '
                + (meant if fault else f'-S {ascii(argument)[1:-1]}'),
            )
        words = [argument] if argument else []
    else:
        words = _split(first_line, split[1])
    if not words or words[0].startswith('-') or '=' in words[0]:
        raise _refusal(
            first_line, 'gives env other than a program; allowed: a program, -S and a program'
        )
    return words[0], words[1:]


def _split(first_line: str, text: str) -> list[str]:
    if _EXPANDED.search(text):
        raise _refusal(first_line, 'has a backslash, $ or # for env -S; allowed: words and quotes')
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _refusal(first_line, f'cannot be split by env -S: {error}') from error


def _refusal(first_line: str, reason: str) -> ScriptRefused:
    return ScriptRefused(f'the first line {shown(first_line)} {reason}')
