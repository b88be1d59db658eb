# SPDX-License-Identifier: Apache-2.0
"""The schema of metadata that is shown is what is read of it."""

from jsonschema import Draft202012Validator
import pytest

from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.metadata import LIMIT_RANGES, parse_metadata
from gateway_node.scripts.metadata_schema import METADATA_SCHEMA

VALIDATOR = Draft202012Validator(METADATA_SCHEMA)
TEXTS = (
    *('', ' ', '\t', '\u00a0', '\u3000 ', 'x', ' x ', 'a\tb', 'a\nb', 'a\r', 'a\n', 'ä 💥'),
    *('x' * length for length in (64, 65, 255, 256, 1000, 1001, 4096, 4097)),
    *('python', 'sh', 'bash', 'launch', 'executable', 'SH'),
    *('\0', '\x1f', 'x\x7f', '\x85', '\u2028', '\u2029', '\u202ex', '\u2066x', '\u2069'),
    *('\u200b', '\u061c', '\ufeff', '\u202f'),
)
NUMBERS = (-1, 0, 1, 2, 15, 16, 100_000, 100_001, 10**9, 10**30, 0.001, 0.0099, 0.01, 0.5, 5.0)
LEAVES = (None, True, False, *NUMBERS, *TEXTS, 30 * 86400.0, 30 * 86400.1)
BAGS: tuple[object, ...] = (None, [], 'x', {}, ['/a'] * 33)
VALUES: tuple[object, ...] = (
    *LEAVES,
    *([], ['x'] * 32, ['x'] * 33, ['x', None]),
    *([text] for text in TEXTS),
    *({}, {'x': 1}, {'cpu_sec': 1, 'swap_mb': 1}),
    *({name: leaf} for name in LIMIT_RANGES for leaf in LEAVES),
    *({code: 'WARN'} for code in ('0', '9', '10', '99', '100', '199', '249', '250', '255')),
    *({code: 'WARN'} for code in ('', '00', '256', '260', '300', '1000', '-1', '1\n', '\n1', 'a')),
    *({'1': word} for word in ('PASS', 'WARN', 'FAIL', 'SKIP', 'pass', '', None, 1, ['PASS'])),
    *('never', 'on_failure', 'always', {'when': 'always', 'x': 1}, {'bag_topics': []}),
    *({'when': word} for word in ('never', 'on_failure', 'always', 'x', '', None, 1, ['never'])),
    *({'when': 'always', 'bag_topics': topics} for topics in BAGS),
    *(
        {'when': 'always', 'bag_topics': [topic]}
        for topic in ('/a', '/a/b_1', '/A9', '', 'a', '/', '/a/', '//a', '/1', '/a\n', None, 1)
    ),
)


def reads(document: object) -> bool:
    try:
        parse_metadata(document)
    except ScriptRefused:
        return False
    return True


@pytest.mark.parametrize('name', [*METADATA_SCHEMA['properties'], 'nonsense'])
def test_a_field_is_taken_where_its_schema_takes_it(name: str) -> None:
    """For no value do the two disagree."""
    taken = [value for value in VALUES if reads({name: value})]
    assert taken == [value for value in VALUES if VALIDATOR.is_valid({name: value})]
    assert bool(taken) == (name != 'nonsense')


def test_the_schema_tells_every_field() -> None:
    """The message about an unknown field names them all."""
    with pytest.raises(ScriptRefused) as caught:
        parse_metadata({'nonsense': 1})
    (violation,) = caught.value.violations
    told = violation.reason.partition('allowed: ')[2].split(', ')
    assert told == list(METADATA_SCHEMA['properties'])


def test_the_schema_is_json_schema() -> None:
    """2020-12."""
    Draft202012Validator.check_schema(METADATA_SCHEMA)
