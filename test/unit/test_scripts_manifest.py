# SPDX-License-Identifier: Apache-2.0
"""The scripts manifest and the arguments that it declares."""

from pathlib import Path
from typing import Any

import pytest
from watched_robot import CHARGED, precondition

from gateway_node.entities.values import EntityRef
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.evidence_policy import EvidencePolicy, EvidenceWhen
from gateway_node.scripts.installed_executables import PackageExecutable
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.scripts.values import (
    ArgumentDefinition,
    Limits,
    Retries,
    Script,
    ScriptKind,
    Verdict,
)

FULL = """
scripts:
  - id: check_disk
    name: Check the disk
    description: Reads its SMART values.
    path: tools/check_disk
    kind: executable
    entities: [components/host, 'apps/disk_*']
    tags: [disk]
    timeout_sec: 12.5
    single_execution: true
    proximity_proof_required: true
    confirmation: The arm is free to move.
    parameters_schema: &schema
      type: object
      properties: {device: {type: string}}
    args:
      - {name: device, flag: --device}
      - {name: verbose}
    environment: {LANG: C, EMPTY: ''}
    exit_verdicts: {"1": FAIL}
    retries: {limit: 2, delay_sec: 5}
    preconditions:
      - {condition: {topic: /battery, field: voltage, above: 10}, max_age_sec: 60}
    evidence: on_failure
    limits: {memory_mb: 64}
  - id: by_suffix
    path: {absolute}
    entities: apps/*
    parameters_schema: *schema
"""


def _write(tmp_path: Path, text: str) -> Path:
    (tmp_path / 'tools').mkdir()
    for name, mode in (('check_disk', 0o755), ('a.launch.py', 0o644), ('plain', 0o644)):
        path = tmp_path / 'tools' / name
        path.write_text('x')
        path.chmod(mode)
    manifest = tmp_path / 'scripts.yaml'
    manifest.write_text(text)
    return manifest


def test_a_manifest_names_all_that_a_script_has(tmp_path: Path) -> None:
    """Paths are absolute or relative to the manifest's folder."""
    text = FULL.replace('{absolute}', str(tmp_path / 'tools' / 'a.launch.py'))
    first, second = load_scripts_manifest(_write(tmp_path, text))
    schema = {'type': 'object', 'properties': {'device': {'type': 'string'}}}
    assert first.script == Script(
        id='check_disk',
        name='Check the disk',
        kind=ScriptKind.EXECUTABLE,
        path=tmp_path / 'tools' / 'check_disk',
        version='2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
        size=1,
        managed=True,
        description='Reads its SMART values.',
        tags=('disk',),
        timeout_sec=12.5,
        single_execution=True,
        proximity_proof_required=True,
        confirmation='The arm is free to move.',
        parameters_schema=schema,
        exit_verdicts={1: Verdict.FAIL},
        retries=Retries(limit=2, delay_sec=5),
        preconditions=(precondition(CHARGED),),
        evidence=EvidencePolicy(when=EvidenceWhen.ON_FAILURE),
        limits=Limits(memory_mb=64),
        argument_definitions=(
            ArgumentDefinition(name='device', flag='--device'),
            ArgumentDefinition(name='verbose'),
        ),
        environment={'LANG': 'C', 'EMPTY': ''},
    )
    assert second.script.kind is ScriptKind.LAUNCH
    assert second.script.name == 'by_suffix'
    assert second.script.parameters_schema == schema


@pytest.mark.parametrize(
    ('path', 'belongs'),
    [
        ('components/host', True),
        ('components/host2', False),
        ('apps/disk_1', True),
        ('apps/Disk_1', False),
        ('apps/host', False),
    ],
)
def test_globs_choose_entities_by_their_path(tmp_path: Path, path: str, belongs: bool) -> None:
    """Case counts, and apps are no components."""
    text = FULL.replace('{absolute}', str(tmp_path / 'tools' / 'a.launch.py'))
    first, second = load_scripts_manifest(_write(tmp_path, text))
    assert first.belongs_to(EntityRef.from_path(path)) is belongs
    assert first.named_entities == {EntityRef.from_path('components/host')}
    assert second.named_entities == frozenset()


def test_an_empty_manifest_has_no_scripts(tmp_path: Path) -> None:
    """A file of comments is none of anybody's mistakes."""
    assert load_scripts_manifest(_write(tmp_path, '# none yet\n')) == ()
    (tmp_path / 'scripts.yaml').write_text('scripts:\n')
    assert load_scripts_manifest(tmp_path / 'scripts.yaml') == ()


ENTRY = 'id: a, path: tools/check_disk, entities: apps/*'
ALIASES = 'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{b}: &{b} [{", ".join(["*" + a] * 10)}]\n'
    for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
)
MERGES = 'a: &a {k: 1}\n' + ''.join(
    f'{b}: &{b} {{<<: [{", ".join(["*" + a] * 10)}]}}\n'
    for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
)


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('scripts: 3', 'scripts is 3; allowed: a list'),
        ('script: []', "the document has the key 'script'; allowed: scripts"),
        ('- a', 'the document is an array; allowed: a mapping'),
        ('scripts: [3]', r'scripts\[0\] is 3; allowed: a mapping'),
        ('scripts: [{id: a}]', r"scripts\[0\] has no 'path'"),
        (f'scripts: [{{{ENTRY}, size: 1}}]', r"scripts\[0\] has the key 'size'; allowed: id,"),
        (f'scripts: [{{{ENTRY}}}, {{{ENTRY}}}]', r"\[1\]\.id is 'a', as is scripts\[0\]\.id"),
        ('scripts: [{id: a b, path: x, entities: apps/*}]', 'there is no file'),
        ('scripts: [{id: a b, path: tools/plain, entities: apps/*, kind: sh}]', 'id is .a b'),
        ('scripts: [{id: script_0123456789abcdef, path: tools/plain, entities: apps/*, kind: sh}]',
         'has the form of an uploaded'),
        ('scripts: [{id: docs, path: tools/plain, entities: apps/*, kind: sh}]', 'kept for desc'),
        ('scripts: [{id: a, path: tools, entities: apps/*}]', "path is 'tools': there is no file"),
        (f'scripts: [{{id: a, path: {"a" * 300}, entities: apps/*}}]', 'File name too long'),
        ('scripts: [{id: a, path: "a\\0b", entities: apps/*}]', 'path is .*; allowed: a path'),
        ('scripts: [{id: a, path: tools/plain, entities: apps/*}]', 'kind is missing'),
        (f'scripts: [{{{ENTRY}, kind: perl}}]', "kind is 'perl'; allowed: python, sh"),
        (f'scripts: [{{{ENTRY}, kind: launch}}]', "kind is 'launch', but 'check_disk'"),
        ('scripts: [{id: a, path: tools/plain, entities: apps/*, kind: executable}]',
         'is not executable'),
        ('scripts: [{id: a, path: tools/check_disk, entities: []}]', 'entities is empty'),
        ('scripts: [{id: a, path: tools/check_disk, entities: [hosts/x]}]', "has 'hosts/x'"),
        ('scripts: [{id: a, path: tools/check_disk, entities: [3]}]', 'entities has 3'),
        (f'scripts: [{{{ENTRY}, package: p, executable: e}}]', "has both 'package' and 'path'"),
        ('scripts: [{id: a, package: p, entities: apps/*}]', "has no 'executable'"),
        ('scripts: [{id: a, executable: e, entities: apps/*}]', "has no 'package'"),
        ('scripts: [{id: a, package: p, executable: e}]', "has no 'entities'"),
        ('scripts: [{id: a, package: ../p, executable: e, entities: apps/*}]',
         r"package is '\.\./p'; allowed: the name of a package"),
        ('scripts: [{id: a, package: p, executable: ../e, entities: apps/*}]',
         r"executable is '\.\./e'; allowed: the name of an executable"),
        ('scripts: [{id: a, package: p, executable: 3, entities: apps/*}]', 'executable is 3'),
        ('scripts: [{id: a, package: p, executable: e, kind: launch, entities: apps/*}]',
         "kind is 'launch'; allowed: python, sh, bash, executable"),
        (f'scripts: [{{{ENTRY}, timeout_sec: 1 s}}]', "timeout_sec is '1 s'; allowed: a number"),
        (f'scripts: [{{{ENTRY}, limits: {{ram: 1}}}}]', r'limits\.ram is unknown; allowed: cpu'),
        (f'scripts: [{{{ENTRY}, args: [{{flag: -x}}]}}]', r'args\[0\]\.name is null'),
        (f'scripts: [{{{ENTRY}, args: [x]}}]', r"args\[0\] is 'x'; allowed: a mapping"),
        (
            'scripts: [{id: a, path: tools/a.launch.py, entities: apps/*, args: [{name: x}]}]',
            r'scripts\[0\]\.args: a launch fragment takes no arguments',
        ),
        (f'scripts: [{{{ENTRY}, environment: {{A: 1}}}}]', r'\.A is 1; .*\(in quotes\)'),
        (f'scripts: [{{{ENTRY}, environment: {{A=B: x}}}}]', "environment has 'A=B'"),
        (f'scripts: [{{{ENTRY}, parameters_schema: {{1: x}}}}]', 'a key is no text'),
        ('scripts:\nscripts:\n', "line 2: the key 'scripts' is there twice"),
        ('x: 2026-02-14', 'line 1: .2026-02-14. is a timestamp'),
        ('x: [.inf]', 'has NaN, Infinity or a number that is too large, at /x/0'),
        ('x: .NaN', 'has NaN, Infinity or a number that is too large, at /x'),
        ('x: 1.0e+999', 'has NaN, Infinity or a number that is too large, at /x'),
        (f'x: 0x{"f" * 5000}', 'has a whole number of more than 4300 digits, at /x'),
        ('x: {y: "\\ud800"}', 'has a text with a lone surrogate, at /x/y'),
        (f'x: {"[" * 64}{"]" * 64}', 'is nested deeper than 64 levels, at /x/0'),
        ('x: !!python/object/apply:os.system ["touch /tmp/x"]', 'python/object/apply'),
        ('x: !mine y', 'is a !mine'),
        ('a: &a [*a]', 'an alias stands inside what it names'),
        ('a: *b', 'is no YAML'),
        ('a: [', 'is no YAML'),
        ('[' * 5000, 'nests too deep'),
        ('x' * (2**20 + 1), 'has more than 1048576 bytes'),
        (ALIASES, 'stands for more than 100000 values'),
        (MERGES, 'stands for more than 100000 values'),
    ],
    ids=lambda value: value[:60],
)  # fmt: skip
def test_a_bad_manifest_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    """The line names the file, the place, the value and what is allowed."""
    manifest = _write(tmp_path, text)
    with pytest.raises(ManifestInvalid, match=told) as invalid:
        load_scripts_manifest(manifest)
    message = str(invalid.value)
    assert message.startswith(f'{manifest}: ')
    assert '\n' not in message
    assert len(message) < 700


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, a directory, no UTF-8."""
    with pytest.raises(ManifestInvalid, match=r'none\.yaml: cannot be read: No such file'):
        load_scripts_manifest(tmp_path / 'none.yaml')
    with pytest.raises(ManifestInvalid, match='Is a directory'):
        load_scripts_manifest(tmp_path)
    (tmp_path / 'latin.yaml').write_bytes(b'scripts: \xff')
    with pytest.raises(ManifestInvalid, match='is no YAML'):
        load_scripts_manifest(tmp_path / 'latin.yaml')


def _script(*definitions: ArgumentDefinition) -> Script:
    return Script(
        id='a',
        name='a',
        kind=ScriptKind.EXECUTABLE,
        path=Path('/bin/true'),
        version='0' * 64,
        size=1,
        argument_definitions=definitions,
    )


FLAGGED = ArgumentDefinition(name='a', flag='--a')
BARE = ArgumentDefinition(name='b')


@pytest.mark.parametrize(
    ('parameters', 'arguments'),
    [
        ({}, ()),
        ({'a': None, 'b': None}, ()),
        ({'a': [], 'b': []}, ()),
        ({'b': 'x y', 'a': '*'}, ('--a', '*', 'x y')),
        ({'a': 1, 'b': 2.5}, ('--a', '1', '2.5')),
        ({'a': True, 'b': True}, ('--a', 'true')),
        ({'a': False, 'b': False}, ('false',)),
        ({'a': ['x', 1], 'b': ['y', 'z']}, ('--a', 'x', '--a', '1', 'y', 'z')),
        ({'a': {'k': [1]}}, ('--a', '{"k": [1]}')),
        ({'a': '', 'c': 'ignored'}, ('--a', '')),
    ],
)
def test_parameters_become_the_declared_arguments(
    parameters: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    """In the order of the definitions, whatever the order of the parameters."""
    assert declared_arguments(_script(FLAGGED, BARE), parameters) == arguments
    assert declared_arguments(_script(), parameters) == ()


def test_a_parameter_with_nul_is_no_argument() -> None:
    """The kernel would cut it there."""
    with pytest.raises(ParametersInvalid) as invalid:
        declared_arguments(_script(FLAGGED), {'a': ['x', 'y\0z']})
    assert [v.path for v in invalid.value.violations] == ['/a']


def test_an_executable_of_a_package_need_not_be_there(tmp_path: Path) -> None:
    """It is looked for when it is asked for; it runs itself, unless another kind is said."""
    rows = 'package: probes, executable: check.py, entities: apps/*'
    manifest = _write(tmp_path, f'scripts: [{{id: a, {rows}}}, {{id: b, {rows}, kind: python}}]')
    first, second = load_scripts_manifest(manifest)
    assert first.executable == PackageExecutable(package='probes', name='check.py')
    assert (first.script.kind, second.script.kind) == (ScriptKind.EXECUTABLE, ScriptKind.PYTHON)
    assert (first.script.version, first.script.size) == ('', 0)
