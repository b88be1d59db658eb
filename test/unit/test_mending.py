# SPDX-License-Identifier: Apache-2.0
"""What is mended of a shell script, and what is not."""

import pytest

from gateway_node.scripts.mending import MARK, mend, to_mend
from gateway_node.scripts.values import Mending, ScriptKind

ENDS = (Mending.LINE_ENDS,)
BOTH = (Mending.BYTE_ORDER_MARK, Mending.LINE_ENDS)


def mended(text: str) -> str:
    """Return a script of CR LF line ends as it is mended, a carriage return shown as `~`."""
    content = mend(text.replace('\n', '\r\n').encode('latin-1'), ENDS)
    return content.decode('latin-1').replace('\r', '~')


@pytest.mark.parametrize(
    ('head', 'kind', 'mendings'),
    [
        (b'set -e\r\necho\r\n', ScriptKind.SH, ENDS),
        (b'\r\n', ScriptKind.BASH, ENDS),
        (MARK + b'set -e\n', ScriptKind.SH, (Mending.BYTE_ORDER_MARK,)),
        (MARK + b'set -e\r\n', ScriptKind.SH, BOTH),
        (b'set -e\ncat <<X\r\nX\r\n', ScriptKind.SH, ()),
        (b'echo one line\r', ScriptKind.SH, ()),
        (b'', ScriptKind.SH, ()),
        (MARK + b'import sys\r\n', ScriptKind.PYTHON, ()),
        (MARK + b'<launch/>\r\n', ScriptKind.LAUNCH, ()),
    ],
)
def test_the_beginning_of_the_file_says_what_is_to_be_mended(
    head: bytes, kind: ScriptKind, mendings: tuple[Mending, ...]
) -> None:
    """A mark, or CR LF behind the first line, of a shell script; Python reads both itself."""
    assert to_mend(head, kind) == mendings


def test_only_what_is_asked_for_is_mended() -> None:
    """Without the line ends, literal CR LF stay; without the mark, it stays."""
    assert mend(MARK + b'a\nb\r\n', (Mending.BYTE_ORDER_MARK,)) == b'a\nb\r\n'
    assert mend(b'a\r\nb\rc\r\n', ENDS) == b'a\nb\rc\n'
    assert mend(MARK + b'a\r\n', BOTH) == b'a\n'


@pytest.mark.parametrize(
    ('script', 'rest'),
    [
        ('tail -n +3 "$0" >x\nexit 0\n', 'PAYLOAD\n'),
        ('exit\n', 'fi+base64/lines\n'),
        ('exit "${rc:-0}" # done\n', 'x\n'),
        ('main() {\nexit 1\n}\nmain "$@"; exit $?\n', '__DATA__\nx\n'),
        ('if a; then\nexit 1\nfi\nexit 0\n', 'x\n'),
        ('exec java -jar "$0" "$@"\n', 'PK\n'),
        ('exec java \\\n  -jar \\\n  "$0"\n', 'PK\n'),
        ('exec python3 - <<"EOF"\nexit 0\nEOF\n', 'x\n'),
        ('echo begun\n', 'BZh9\x001\n\n'),
        ('exit 0\n', 'if a; then\nb\nfi\n'),
    ],
)
def test_nothing_behind_the_end_of_the_shells_reading_is_touched(script: str, rest: str) -> None:
    """An archive that a script unpacks from itself keeps each of its bytes."""
    assert mended(script + rest) == script + rest.replace('\n', '~\n')


@pytest.mark.parametrize(
    'script',
    [
        'exec 2>&1\necho a\n',
        'exec > log 9<"$0"\necho a\n',
        'exec {fd}<x\necho a\n',
        'if a; then\nexit 1\nfi\necho b\n',
        'if a; then\nexit 1\nelse\nexit 2\nfi\necho b\n',
        'case $1 in\na) b; exit 0;;\nc)\nexit 1\n;;\nesac\necho d\n',
        'usage() {\nexit 1\n}\nif a; then b; fi\n',
        'usage() {\nexit 1; }\nif a; then b; fi\n',
        'for i in 1 2\ndo\nexit 1\ndone\necho b\n',
        'a || { b; exit 1; }\necho c\n',
        '  exit 1\necho an indented one may stand in anything\n',
        'cat >made.sh <<EOF\n#!/bin/sh\nexit 0\nEOF\necho b\n',
        'cat <<-"A B" <<C\n\texit 0\n\tA B\nexit 0\nC\necho b\n',
        'echo $((1<<EOF))\necho b\n',
        'echo "a; exit 0"\necho b\n',
        '# it ends with; exit\necho b\n',
        '# a comment is not continued \\\nexit_handler() {\n:\n}\necho b\n',
        '# cp1252: \xfc\x84\necho \xe4\n',
    ],
)
def test_what_only_looks_like_the_end_ends_nothing(script: str) -> None:
    """The rest of a script would not run with its carriage returns."""
    assert mended(script) == script


@pytest.mark.parametrize('line', ['<<X\n', '\\\n', "<<'", '\n', ';exit ${', '<<A<<B\n', 'a;exit('])
def test_hostile_scripts_take_time_in_proportion_to_their_size(line: str) -> None:
    """Much of what makes a naive reader search again and again."""
    assert mended('true\n' + line * (200_000 // len(line))).startswith('true\n')
