# SPDX-License-Identifier: Apache-2.0
"""Takes out of a text what tells a terminal anything: what is left can be shown anywhere.

A sequence (ECMA-48) ends within its line, whole or not: none hides the lines behind it, and a line
looks the same by itself. What is left holds no control character but line feeds and tabs.
"""

import re

_SEQUENCE = re.compile(
    # A carriage return: before a line's end it is part of that.
    r'(?P<over>\r+(?=[^\r\n]))'
    # Strings for the terminal (OSC, DCS, SOS, PM, APC): to their terminator (ST, BEL), to what
    # cancels them (CAN, SUB), or to the end of the line.
    r'|(?:\x1b[PX\]^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x18\x1a\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?'
    # Control sequences (CSI): colours, movements.
    r'|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?'
    # All other escape sequences.
    r'|\x1b[ -/]*[0-~]?'
    r'|[\x00-\x08\x0b-\x1f\x7f-\x9f]+'
)


def plain(text: str) -> str:
    """Return what a reader sees of a text; where a line was written over, all of it in a row."""
    # A call for each: other threads get their turn in a long text.
    return _SEQUENCE.sub(_in_place, text)


def plain_bytes(content: bytes) -> bytes:
    """Return the same of UTF-8, in which undecodable bytes are replaced."""
    return plain(content.decode(errors='replace')).encode()


def _in_place(found: re.Match[str]) -> str:
    return ' ' if found['over'] else ''
