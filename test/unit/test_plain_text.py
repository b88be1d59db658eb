# SPDX-License-Identifier: Apache-2.0
"""Text without what tells a terminal anything."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.http_server.plain_text import plain, plain_bytes

PIECES = st.lists(
    st.sampled_from(
        re.split(' ', '\x1b \x1b[ \x9b \x1b] \x1bP \x9d \x1b\\ \x9c \a \b \r \0 \x7f \x18')
        + re.split(',', '\n,\t,31,;,?, ,m,K,é,a,[,(,B')
    ),
    max_size=30,
).map(''.join)


@pytest.mark.parametrize(
    ('text', 'left'),
    [
        ('\x1b[1;31mred\x1b[0m and \x1b[38:2::255:0:0mmore', 'red and more'),
        ('\x1b[2J\x1b[Hhome\x1b[?25l', 'home'),
        ('\x9b31mred\x9bm', 'red'),
        ('\x1b(Bset\x1b)0\x1b=\x1b>\x1b7\x1bc', 'set'),
        ('\x1b]0;title\abel \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\', 'bel link'),
        ('\x1bPq#0;2;0\x1b\\sixel \x9d52;c;Zm9v\x9cset', 'sixel set'),
        ('\x1b_app\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\rest', 'rest'),
        ('a\bb\x7fc\0d\x0ee\x0ff\ag\vh\fi\x85j', 'abcdefghij'),
        ('tab\tstays\nas does a line', 'tab\tstays\nas does a line'),
        ('windows\r\nends\r\r\n', 'windows\nends\n'),
        ('10 %\r20 %\r\r30 %\r', '10 % 20 % 30 %'),
        ('é € 🤖', 'é € 🤖'),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text: str, left: str) -> None:
    """By ECMA-48: with 7 bits and with 8; what it would show stays."""
    assert plain(text) == left


@pytest.mark.parametrize(
    ('text', 'left'),
    [
        ('end \x1b', 'end '),
        ('end \x1b[31', 'end '),
        ('end \x1b[3\nline', 'end \nline'),
        ('\x1b[31é', 'é'),
        ('\x1b]0;no end\nline', '\nline'),
        ('\x1b]0;cancelled\x18line', 'line'),
        ('\x1b]0;begun\x1b[31mred', 'red'),
        ('\x1b\x1b[31m[32mtext', '[32mtext'),
        ('\x1b[\x1b[31mtext', 'text'),
        ('\x1b\nline', '\nline'),
    ],
)
def test_what_is_not_whole_hides_nothing_behind_its_line(text: str, left: str) -> None:
    """As where the end has not come yet, or bytes between were dropped; or with intent."""
    assert plain(text) == left


@given(text=st.one_of(PIECES, st.text()))
def test_nothing_is_left_for_a_terminal(text: str) -> None:
    """Nor does taking out make something new: a second time changes nothing."""
    left = plain(text)
    assert not re.search('[\0-\x08\x0b-\x1f\x7f-\x9f]', left)
    assert plain(left) == left


@given(text=st.one_of(PIECES, st.text()))
def test_a_line_looks_the_same_by_itself(text: str) -> None:
    """So do the lines of a list, and those of the text."""
    assert plain(text).split('\n') == [plain(line) for line in text.split('\n')]


@given(text=st.text(st.characters(exclude_categories=['C'])))
def test_text_stays(text: str) -> None:
    """Whatever has no control character is as it was."""
    assert plain(text) == text


def test_bytes_that_are_no_text_are_replaced() -> None:
    """What is 8-bit control in other encodings is none in UTF-8."""
    assert plain_bytes(b'\xff\x9b31m\xc2\x9b31mred\n') == '\ufffd\ufffd31mred\n'.encode()


@pytest.mark.parametrize('piece', ['\x1b', '\x1b[', '\x1b]', '\x1b[0;0', '\x1b(', '\r', '\x1bPq'])
def test_a_long_hostile_text_takes_no_longer_than_another(piece: str) -> None:
    """Each character is looked at a bounded number of times."""
    begun = time.monotonic()
    plain(piece * (1_000_000 // len(piece)))
    assert time.monotonic() - begun < 20
