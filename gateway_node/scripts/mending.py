# SPDX-License-Identifier: Apache-2.0
"""Makes of a shell script that was saved elsewhere one that a shell reads. Pure.

A shell takes a carriage return for a part of the word before it, and a byte order mark for the
beginning of the first one. What says that a file was saved so is its very beginning: a mark, or a
first line that ends in CR LF. Everything else is the author's own, and stays.
"""

from collections.abc import Collection, Iterator
import re

from gateway_node.scripts.values import Mending, ScriptKind

MARK = b'\xef\xbb\xbf'
SHELL_KINDS = frozenset({ScriptKind.SH, ScriptKind.BASH})
"""Python, and launch, read marks and line ends of every kind themselves."""

_NO_TEXT = re.compile(rb'[\x00-\x06\x0e-\x1a\x1c-\x1f]')
"""Control characters that no line of a script holds, and nearly every line of an archive."""
_LINE = re.compile(rb'([^\n]*)\n?')
_END_OF_READING = re.compile(
    rb"""
    (?: (?! \# ) \S .* ; [ \t]* )?                      # perhaps behind a command
    exit (?: [ \t]+ (?: [^\s;&|(){}\#"'] | "[^"]*" | \$\{[^}]*\} )+ )?
    [ \t]* ;? [ \t]* (?: \# .* )?
    | exec [ \t]+ (?! [0-9]* [<>] | &> | \{ \w+ \} [<>] | [\#\\] ) \S .*
    """,
    re.VERBOSE,
)
"""An exec of redirections alone goes on reading."""
_LONGEST_END = 1024
_HERE_DOCUMENT = re.compile(
    rb"""(?<!<)<<(-?)[ \t]*(?:\\?([A-Za-z_]\w*)|'([^'\n]+)'|"([^"\n]+)")"""
)
_AFTER_WORD = rb'(?=[\s;&|()<>#]|$)'
_OPENS = re.compile(
    rb'[ \t]*(?:(?:if|case|for|while|until|select|function|\{)%b|\(|.*[({][ \t]*$)' % _AFTER_WORD
)
_CLOSES = re.compile(rb'[ \t]*(?:(?:fi|else|elif|done|esac|\})%b|\)|;;)' % _AFTER_WORD)


def to_mend(head: bytes, kind: ScriptKind) -> tuple[Mending, ...]:
    """Return what is to be mended of a file, by a `head` that holds its whole first line."""
    if kind not in SHELL_KINDS:
        return ()
    found = {
        Mending.BYTE_ORDER_MARK: head.startswith(MARK),
        Mending.LINE_ENDS: head.partition(b'\n')[0].endswith(b'\r') and b'\n' in head,
    }
    return tuple(mending for mending, there in found.items() if there)


def mend(content: bytes, mendings: Collection[Mending]) -> bytes:
    """Return the content with these mendings made.

    Line ends are mended up to and with the line that ends the shell's reading, and at most up to
    the first line that is no text: what follows is the script's own, an archive or a program.
    """
    if Mending.BYTE_ORDER_MARK in mendings:
        content = content.removeprefix(MARK)
    if Mending.LINE_ENDS in mendings:
        end = _end_of_script(content)
        content = content[:end].replace(b'\r\n', b'\n') + content[end:]
    return content


def _end_of_script(content: bytes) -> int:
    """Return the offset behind the last line that a shell reads, as far as the lines tell.

    That line is not indented, and it begins with `exit`, or with `exec` and a command, or ends
    with `; exit`. It does not count in a here document, nor where the next line that opens or
    closes a compound command closes one: then it stands in it.
    """
    binary = _NO_TEXT.search(content)
    text_end = len(content) if binary is None else content.rfind(b'\n', 0, binary.start()) + 1
    end: int | None = None
    for line, line_end in _commands(content[:text_end]):
        if end is not None and _CLOSES.match(line):
            end = None
        elif end is not None and _OPENS.match(line):
            break
        elif end is None and len(line) <= _LONGEST_END and _END_OF_READING.fullmatch(line):
            end = line_end
    return text_end if end is None else end


def _commands(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each line, without its end, and the offset behind what belongs to it.

    That are the lines that continue it, and here documents. Takes time in proportion to the text.
    """
    delimiters = _delimiters(text)
    lines = _LINE.finditer(text)
    while (match := next(lines, None)) is not None:
        first = line = _content(match)
        while True:
            for key in map(_delimiter, _HERE_DOCUMENT.finditer(line)):
                if delimiters.get(key, 0) >= match.end():
                    match = next(each for each in lines if _ends(each, key))
            following = next(lines, None) if _goes_on(line) else None
            if following is None:
                break
            match, line = following, _content(following)
        yield first, match.end()


_Delimiter = tuple[bool, bytes]
"""Whether tabs before it are left out, and the line that ends the here document."""


def _delimiter(match: re.Match[bytes]) -> _Delimiter:
    tabs, *words = match.groups(default=b'')
    return bool(tabs), b''.join(words)


def _delimiters(text: bytes) -> dict[_Delimiter, int]:
    """Return where each delimiter of a here document stands last as a line of its own."""
    wanted = {_delimiter(match) for match in _HERE_DOCUMENT.finditer(text)}
    if not wanted:
        return {}
    return {
        key: match.start()
        for match in _LINE.finditer(text)
        for key in ((False, _content(match)), (True, _content(match).lstrip(b'\t')))
        if key in wanted
    }


def _ends(match: re.Match[bytes], key: _Delimiter) -> bool:
    tabs, delimiter = key
    line = _content(match)
    return (line.lstrip(b'\t') if tabs else line) == delimiter


def _goes_on(line: bytes) -> bool:
    return line.endswith(b'\\') and not line.lstrip().startswith(b'#')


def _content(match: re.Match[bytes]) -> bytes:
    return match[1].removesuffix(b'\r')
