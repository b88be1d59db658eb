# SPDX-License-Identifier: Apache-2.0
"""The page that tells the language of conditions tells it as it is."""

import json
from pathlib import Path
import re

import pytest

from gateway_node.conditions.condition_reading import parse_condition
from gateway_node.conditions.condition_words import (
    FURTHER_FIELDS,
    KINDS,
    TOPIC_TESTS,
    WITH_HYSTERESIS,
)
from gateway_node.violations import Violation

PAGE = (Path(__file__).parents[2] / 'docs' / 'triggers.md').read_text(encoding='utf-8')
CONDITIONS = re.findall(r'^\| `(\{.*?\})` \|', PAGE, re.MULTILINE)


@pytest.mark.parametrize('text', CONDITIONS)
def test_each_example_is_a_condition(text: str) -> None:
    """As it stands there."""
    violations: list[Violation] = []
    assert parse_condition(json.loads(text), '', violations, moments=True) is not None, violations


def test_each_part_of_the_language_is_on_the_page() -> None:
    """Every kind in an example, every other field at least by its name."""
    for name in KINDS:
        assert any(f'"{name}": ' in text for text in CONDITIONS), name
    for name in (*FURTHER_FIELDS, *TOPIC_TESTS, *WITH_HYSTERESIS):
        assert f'`{name}' in PAGE or f'"{name}"' in PAGE, name
