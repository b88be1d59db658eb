# SPDX-License-Identifier: Apache-2.0
"""The examples and ranges of docs/writing_scripts.md are those of the code."""

import json
from pathlib import Path
import re

from gateway_node.child.schema.schema_check import MAX_SCHEMA_BYTES, schema_violations
from gateway_node.child.schema.schema_walk import MAX_APPLICATIONS, MAX_CHAIN
from gateway_node.process.schema_worker import MEMORY_MB
from gateway_node.scripts.file_names import SUFFIXES
from gateway_node.scripts.metadata import LIMIT_RANGES, parse_metadata
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.strict_json import MAX_DEPTH

PAGE = (Path(__file__).parents[2] / 'docs' / 'writing_scripts.md').read_text()


def _example(heading: str, language: str) -> str:
    section = PAGE.split(f'## {heading}\n', 1)[1]
    return section.split(f'```{language}\n', 1)[1].split('```', 1)[0]


def test_the_metadata_example_is_taken_and_names_every_field() -> None:
    """What a reader copies works."""
    metadata = parse_metadata(json.loads(_example('Metadata', 'json')))
    assert metadata.parameters_schema is not None
    assert schema_violations(metadata.parameters_schema) == []
    fields = PAGE.split('## Metadata\n')[1].split('| Limit |')[0]
    assert {f'`{name}`' for name in metadata.named} == set(
        re.findall(r'^\| (`\w+`) \|', fields, re.MULTILINE)
    )


def test_the_manifest_example_is_taken(tmp_path: Path) -> None:
    """With the script where it says."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'check_disk.py').write_text('pass\n')
    (tmp_path / 'scripts.yaml').write_text(_example('Managed scripts', 'yaml'))
    [managed] = load_scripts_manifest(tmp_path / 'scripts.yaml')
    assert managed.script.parameters_schema is not None
    assert schema_violations(managed.script.parameters_schema) == []


def test_the_ranges_and_suffixes_are_those_of_the_code() -> None:
    """A table that lies is worse than none."""
    for limit, (low, high) in LIMIT_RANGES.items():
        assert f'| `{limit}` | {low:.10g} to {high:.10g}' in PAGE
    for suffix in SUFFIXES:
        assert f'`{suffix}`' in PAGE
    for value in (MAX_DEPTH, MAX_CHAIN, MAX_APPLICATIONS, MEMORY_MB, MAX_SCHEMA_BYTES // 1024):
        assert str(value) in PAGE
