# SPDX-License-Identifier: Apache-2.0
"""What a first line asks for, as the kernel reads it."""

import pytest

from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.first_line import first_line_of, interpreter_of, MAX_FIRST_LINE_BYTES
from gateway_node.scripts.values import Interpreter, ScriptKind

PYTHON, SH, BASH = ScriptKind.PYTHON, ScriptKind.SH, ScriptKind.BASH


@pytest.mark.parametrize(
    ('head', 'line'),
    [
        (b'#!/bin/sh -e\nset -u\n', '#!/bin/sh -e'),
        (b'#!/bin/sh', '#!/bin/sh'),
        (b'#!/bin/sh -e\r\n', '#!/bin/sh -e'),
        (b'\xef\xbb\xbf#!/bin/sh\n', '#!/bin/sh'),
        (b'#!/\xff\n', '#!/\udcff'),
        (b'# a comment\n#!/bin/sh\n', ''),
        (b' #!/bin/sh\n', ''),
        (b'', ''),
    ],
)
def test_the_first_line_is_one_that_begins_with_the_marks(head: bytes, line: str) -> None:
    """Nothing else at the top of a file asks for an interpreter."""
    assert first_line_of(head) == line


@pytest.mark.parametrize(
    ('line', 'kind', 'program', 'options'),
    [
        ('#!/bin/sh', SH, '/bin/sh', ()),
        ('#!/bin/sh -e', SH, '/bin/sh', ('-e',)),
        ('#! \t/bin/bash \t-eu \t', SH, '/bin/bash', ('-eu',)),
        ('#!/usr/bin/dash', BASH, '/usr/bin/dash', ()),
        ('#!/bin/bash -e -u', BASH, '/bin/bash', ('-e -u',)),
        ('#!/usr/bin/env bash', SH, 'bash', ()),
        ('#!/usr/bin/env sh', BASH, 'sh', ()),
        ('#!/bin/env /opt/bash', SH, '/opt/bash', ()),
        ('#!/usr/bin/env -S bash -e -u', SH, 'bash', ('-e', '-u')),
        ('#!/usr/bin/env -Sbash -e', SH, 'bash', ('-e',)),
        ('#!/usr/bin/env --split-string=bash "-o" pipefail', SH, 'bash', ('-o', 'pipefail')),
        ('#!/usr/bin/env python3', PYTHON, 'python3', ()),
        ('#!/usr/bin/env -S python3 -u -I', PYTHON, 'python3', ('-u', '-I')),
        ('#!/usr/bin/python3 -u', PYTHON, 'python3', ('-u',)),
        ('#!/bin/python', PYTHON, 'python', ()),
        ('#!/usr/local/bin/python3.12', PYTHON, 'python3.12', ()),
        ('#!/opt/venv/bin/python3 -I', PYTHON, '/opt/venv/bin/python3', ('-I',)),
    ],
)
def test_the_interpreter_and_its_options_are_what_the_kernel_makes_of_the_line(
    line: str, kind: ScriptKind, program: str, options: tuple[str, ...]
) -> None:
    """One argument, unsplit, but for `env -S`; a Python that every machine has has no folder."""
    assert interpreter_of(line, kind) == Interpreter(program=program, options=options)


@pytest.mark.parametrize(
    ('line', 'kind'),
    [
        ('', SH),
        ('#!', SH),
        ('#! \t', BASH),
        ('#!/usr/bin/perl', ScriptKind.EXECUTABLE),
        ('#!/usr/bin/env python3', ScriptKind.LAUNCH),
    ],
)
def test_without_a_request_the_kind_says_what_runs(line: str, kind: ScriptKind) -> None:
    """The kernel reads an executable's line itself; launch files are no programs."""
    assert interpreter_of(line, kind) is None


@pytest.mark.parametrize(
    ('line', 'kind', 'words'),
    [
        ('#!/usr/bin/perl -w', SH, "'/usr/bin/perl', which does not run .* 'sh'; allowed: sh, "),
        ('#!/usr/bin/env zsh', SH, "'zsh', which does not run"),
        ('#!/bin/bash', PYTHON, "kind 'python'; allowed: python, python3"),
        ('#!/usr/bin/python2', PYTHON, 'python2'),
        ('#!/bin/busybox sh', SH, 'busybox'),
        ('#!bash', SH, 'absolute path'),
        ('#!/usr/bin/env ./bash', SH, 'absolute path'),
        ('#!/usr/bin/env bash -e', SH, "called 'bash -e'.*allowed: /usr/bin/env -S bash -e"),
        (
            '#!/usr/bin/env -i bash',
            SH,
            "called '-i bash'.*allowed: /usr/bin/env and one program, ",
        ),
        ('#!/usr/bin/env A=1 bash', SH, "called 'A=1 bash'.* -S, one program and its options$"),
        ('#!/usr/bin/env perl -w', SH, "called 'perl -w'.*allowed: /usr/bin/env and one program"),
        ('#!/usr/bin/env bash $X', SH, 'allowed: /usr/bin/env and one program'),
        ('#!/usr/bin/env', SH, 'gives env other than a program'),
        ('#!/usr/bin/env -i', SH, 'gives env other than a program'),
        ('#!/usr/bin/env -S', SH, 'gives env other than a program'),
        ('#!/usr/bin/env -S -i bash', SH, 'gives env other than a program'),
        ('#!/usr/bin/env -S A=1 bash', SH, 'gives env other than a program'),
        ('#!/usr/bin/env -S bash $X', SH, 'allowed: words and quotes'),
        ('#!/usr/bin/env -S bash "', SH, 'cannot be split'),
        ('#!/bin/sh\0-e', SH, 'NUL'),
        ('#!/\udcff/perl', SH, 'does not run'),
    ],
)
def test_a_line_that_cannot_be_honoured_is_refused_with_words(
    line: str, kind: ScriptKind, words: str
) -> None:
    """The line is named, and what is allowed; the words can be served as UTF-8."""
    with pytest.raises(ScriptRefused, match=words) as refused:
        interpreter_of(line, kind)
    str(refused.value).encode()


@pytest.mark.parametrize(
    'argument', ['bash -e', '-i bash', 'A=1 bash', 'perl -w', 'bash "', 'bash ' + 'x' * 239]
)
def test_a_line_that_a_refusal_proposes_is_taken(argument: str) -> None:
    """Who does as the message says is not refused again."""
    with pytest.raises(ScriptRefused) as refused:
        interpreter_of(f'#!/usr/bin/env {argument}', SH)
    proposed = str(refused.value).partition('allowed: ')[2]
    if proposed.startswith('/usr/bin/env -S '):
        assert interpreter_of(f'#!{proposed}', SH) is not None
        assert argument == 'bash -e'


def test_a_line_is_taken_up_to_the_length_that_the_kernel_reads() -> None:
    """It would cut what is longer, and with it an option."""
    longest = '#!/bin/bash -' + 'e' * (MAX_FIRST_LINE_BYTES - len('#!/bin/bash -'))
    assert interpreter_of(longest, SH) is not None
    longer = first_line_of((longest + 'e' * 1000).encode())
    with pytest.raises(ScriptRefused, match='longer than the 255 bytes'):
        interpreter_of(longer, SH)
