"""The result that a script gave, as the gateway reads it: JSON that can be served, or none."""

import json
from pathlib import Path

import pytest

from gateway_node.child.workplace import GIVEN_RESULT_FILE
from gateway_node.process.outcomes import read_given_result


@pytest.mark.parametrize('result', [{}, {'a': 1.5, 'b': [None, True, 'ü']}])
def test_a_json_object_is_the_result(tmp_path: Path, result: object) -> None:
    """Whatever wrote the file, with no complaint."""
    (tmp_path / GIVEN_RESULT_FILE).write_text(json.dumps(result))
    assert read_given_result(tmp_path) == (result, '')


def test_no_file_is_no_result(tmp_path: Path) -> None:
    """Most scripts give none."""
    assert read_given_result(tmp_path) == (None, '')


@pytest.mark.parametrize(
    'content',
    [
        '',
        '[]',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": [-1e999]}',
        '{"a": "\\ud800"}',
        '{"a":' * 100_000,
        '{"a": ' + '9' * 5000 + '}',
        '"' + 'x' * 2_000_000 + '"',
    ],
    ids=lambda content: content[:20],
)
def test_what_cannot_be_served_again_is_no_result(tmp_path: Path, content: str) -> None:
    """A complaint says why, in one line; the execution stays readable."""
    (tmp_path / GIVEN_RESULT_FILE).write_text(content)
    result, complaint = read_given_result(tmp_path)
    assert result is None
    assert complaint.startswith("the script's result is ")
    assert '\n' not in complaint
