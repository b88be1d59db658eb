# SPDX-License-Identifier: Apache-2.0
"""config/gateway.yaml and docs/configuration.md say the same as the table of parameters."""

from pathlib import Path
import re
from typing import Any

import pytest
import yaml

from gateway_node.ros.parameter_specification import ParameterSpecification
from gateway_node.ros.specifications import PARAMETERS

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / 'config' / 'gateway.yaml').read_text(encoding='utf-8')
DOCS = (ROOT / 'docs' / 'configuration.md').read_text(encoding='utf-8')

each_parameter = pytest.mark.parametrize(
    'parameter', PARAMETERS, ids=[specification.name for specification in PARAMETERS]
)


def configured(text: str) -> dict[str, Any]:
    """Return the parameters that a parameter file sets, by full name."""
    values: dict[str, Any] = {}

    def flatten(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                flatten(inner, f'{name}.{key}' if name else key)
        else:
            values[name] = value

    flatten(yaml.safe_load(text)['/**']['ros__parameters'], '')
    return values


def comment_above(parameter: ParameterSpecification) -> str:
    """Return the comment above the parameter's line in the parameter file, as one line."""
    *groups, leaf = parameter.name.split('.')
    lines = CONFIG.splitlines()
    place, indent = 0, '    '
    for group in groups:
        place = lines.index(f'{indent}{group}:', place)
        indent += '  '
    place = next(
        index
        for index, line in enumerate(lines)
        if index > place and re.match(rf'{indent}#?{leaf}:', line)
    )
    comment: list[str] = []
    while lines[place - 1].lstrip().startswith('# '):
        place -= 1
        comment.insert(0, lines[place].strip(' #'))
    return ' '.join(comment)


def yaml_default(parameter: ParameterSpecification) -> Any:
    """Return the default as a parameter file writes it."""
    default = parameter.default
    return list(default) or [''] if isinstance(default, tuple) else default


def test_the_parameter_file_sets_every_default() -> None:
    """Each default that is not derived stands there, and nothing else does."""
    assert configured(CONFIG) == {
        parameter.name: yaml_default(parameter)
        for parameter in PARAMETERS
        if parameter.default is not None
    }


def test_derived_defaults_stand_commented_out() -> None:
    """Uncommented, the derived defaults are parameters as well, and then none is missing."""
    uncommented = re.sub(r'#((state|scripts)_dir: )', r'\1', CONFIG)
    assert configured(uncommented).keys() == {parameter.name for parameter in PARAMETERS}


@each_parameter
def test_the_parameter_file_describes_the_parameter(parameter: ParameterSpecification) -> None:
    """Above each parameter stand its meaning, unit and what is allowed."""
    unit = f' Unit: {parameter.unit}.' if parameter.unit else ''
    told = f'{parameter.description}{unit} Allowed: {parameter.allowed}.'
    assert comment_above(parameter) == told


@each_parameter
def test_the_docs_describe_the_parameter(parameter: ParameterSpecification) -> None:
    """The table of the docs has a row with the parameter's name, type, unit, default, range."""
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in DOCS.splitlines()
        if line.startswith(f'| `{parameter.name}` ')
    ]
    assert len(rows) == 1
    name, kind, unit, default, allowed, meaning = rows[0]
    assert name == f'`{parameter.name}`'
    assert kind == parameter.type.value
    assert unit == (parameter.unit or '-')
    assert (allowed, meaning) == (parameter.allowed, parameter.description)
    if parameter.default is None:
        assert default == 'derived'
    else:
        assert yaml.safe_load(default.strip('`')) == yaml_default(parameter)


def test_the_docs_tell_of_no_other_parameter() -> None:
    """Rows of parameters that are gone would mislead."""
    documented = re.findall(r'^\| `([a-z_.]+)` \|.*\|.*\|.*\|.*\|', DOCS, flags=re.MULTILINE)
    assert documented == [parameter.name for parameter in PARAMETERS]
