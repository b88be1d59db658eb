# SPDX-License-Identifier: Apache-2.0
"""What Python scripts take and give through the script API is held to the gateway's bounds."""

import io
import json
import math
from pathlib import Path
import sys
from typing import Any

import pytest

from gateway_node.child.script import script_api
from gateway_node.child.supervision.progress_lines import ProgressLines


def _nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {'a': document}
    return document


@pytest.fixture
def result_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the result goes."""
    path = tmp_path / 'result'
    monkeypatch.setenv('GATEWAY_RESULT', str(path))
    return path


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        ({'a': math.nan}, 'the result has NaN, Infinity or a number that is too large, at /a'),
        ({'a': ['\ud800']}, 'the result has a text with a lone surrogate, at /a/0'),
        ({'a': {1: 'x', '1': 'y'}}, 'the result has a name twice, at /a/1'),
        (_nested(65), f'the result is nested deeper than 64 levels, at {"/a" * 64}'),
        (_nested(5000), 'the result is nested deeper than 64 levels'),
        ({'a': 'x' * 2**20}, 'a result has at most 1048576 bytes'),
    ],
    ids=['NaN', 'surrogate', 'twice', 'deep', 'very deep', 'long'],
)
def test_a_result_that_the_gateway_would_not_take_is_an_error_in_the_script(
    result_file: Path, values: dict[Any, Any], complaint: str
) -> None:
    """Its author hears of it where it is made; an earlier result stays."""
    script_api.result(_nested(64))
    with pytest.raises(ValueError, match=complaint):
        script_api.result(values)
    assert json.loads(result_file.read_text()) == _nested(64)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (b'', {}),
        (b'\xef\xbb\xbf', {}),
        (b'{"a": "\xc3\xbc"}\n', {'a': 'ü'}),
        (b'\xef\xbb\xbf{"a": 1}', {'a': 1}),
        (b'{"a": 1, "a": 2}', 'what stands on stdin has a name twice, at /a'),
        (b'{"a": NaN}', 'what stands on stdin has NaN'),
        (b'a', 'what stands on stdin is no JSON'),
        (b'[]', 'parameters are a JSON object'),
    ],
)
def test_parameters_are_read_strictly(
    monkeypatch: pytest.MonkeyPatch, content: bytes, expected: dict[str, Any] | str
) -> None:
    """By hand they come from a file or a pipe, whatever the locale."""
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding='latin-1')
    monkeypatch.setattr(sys, 'stdin', stdin)
    script_api.parameters.cache_clear()
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            script_api.parameters()
    else:
        assert script_api.parameters() == expected
    script_api.parameters.cache_clear()


def test_a_message_with_a_lone_surrogate_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name that is no UTF-8 does not cost a script its progress."""
    channel = tmp_path / 'channel'
    channel.touch()
    monkeypatch.setenv('GATEWAY_PROGRESS', str(channel))
    script_api._progress_channel.cache_clear()
    script_api.progress(50, 'reading \udcff')
    script_api._progress_channel.cache_clear()
    lines = ProgressLines()
    lines.feed(channel.read_bytes())
    assert (lines.percent, lines.message, lines.garbage) == (50, 'reading ?', 0)
