# SPDX-License-Identifier: Apache-2.0
"""The metadata of an upload, its file name and its kind."""

import json

import hostile_inputs
from hostile_inputs import HostileDocument, HostileText
import pytest

from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.evidence_policy import EvidencePolicy, EvidenceWhen
from gateway_node.scripts.file_names import check_file_name, kind_by_name, settle_kind
from gateway_node.scripts.metadata import LIMIT_RANGES, Metadata, parse_metadata
from gateway_node.scripts.values import Limits, Retries, ScriptKind, Verdict


def _named(value: object) -> str:
    return ascii(value)[1:40] if isinstance(value, str) else ''


FULL = {
    'name': 'Check the brakes 🛞',
    'description': 'Reads.\n\tThen tells.',
    'tags': ['brakes', 'ünïcode'],
    'timeout_sec': 2.5,
    'single_execution': True,
    'proximity_proof_required': True,
    'confirmation': 'Nobody stands in the cell.\nThe gate is shut.',
    'parameters_schema': {'type': 'object'},
    'kind': 'bash',
    'exit_verdicts': {'1': 'FAIL', '77': 'SKIP'},
    'retries': {'limit': 3, 'delay_sec': 0.5},
    'evidence': {'when': 'always', 'bag_topics': ['/scan']},
    'limits': {'memory_mb': 64, 'processes': 3},
}


@pytest.mark.parametrize(('name', 'document', 'paths'), hostile_inputs.METADATA, ids=_named)
def test_bad_metadata_is_refused_with_every_violation(
    name: str, document: object, paths: tuple[str, ...]
) -> None:
    """A client learns of all its mistakes at once, each by JSON Pointer."""
    with pytest.raises(ScriptRefused) as refused:
        parse_metadata(document)
    assert tuple(violation.path for violation in refused.value.violations) == paths
    assert all(len(violation.reason) < 300 for violation in refused.value.violations)
    str(refused.value).encode()


def test_full_metadata_is_read_and_written_again_unchanged() -> None:
    """What a record holds is what the client sent."""
    metadata = parse_metadata(FULL)
    assert metadata.kind is ScriptKind.BASH
    assert metadata.exit_verdicts == {1: Verdict.FAIL, 77: Verdict.SKIP}
    assert metadata.retries == Retries(limit=3, delay_sec=0.5)
    assert metadata.evidence == EvidencePolicy(when=EvidenceWhen.ALWAYS, bag_topics=('/scan',))
    assert metadata.limits == Limits(memory_mb=64, processes=3)
    assert metadata.tags == ('brakes', 'ünïcode')
    assert json.loads(json.dumps(metadata.document())) == FULL
    assert parse_metadata(metadata.document()) == metadata


def test_no_metadata_means_defaults() -> None:
    """Every field is optional."""
    assert parse_metadata({}) == Metadata()
    assert Metadata().document() == {}


def test_named_fields_go_over_earlier_ones_and_null_resets() -> None:
    """A replacement changes what its metadata names, and nothing else."""
    earlier = parse_metadata(FULL)
    later = parse_metadata({'name': None, 'timeout_sec': 7, 'limits': {}}).over(earlier)
    assert later.name is None
    assert later.timeout_sec == 7
    assert later.limits == Limits()
    assert later.description == FULL['description']
    assert later.single_execution
    assert parse_metadata(later.document()) == later


@pytest.mark.parametrize('limit', LIMIT_RANGES)
def test_a_limit_takes_the_ends_of_its_range_and_nothing_beyond(limit: str) -> None:
    """The message's range is the range."""
    low, high = LIMIT_RANGES[limit]
    for good in (low, high):
        assert getattr(parse_metadata({'limits': {limit: good}}).limits, limit) == good
    for bad in (low / 2, high + 1, -low):
        with pytest.raises(ScriptRefused, match='allowed'):
            parse_metadata({'limits': {limit: bad}})


@pytest.mark.parametrize(('name', 'text'), hostile_inputs.FILE_NAMES, ids=_named)
def test_what_is_no_plain_file_name_is_refused(name: str, text: str) -> None:
    """Nothing but a plain file name passes, though it never becomes a path."""
    with pytest.raises(ScriptRefused) as refused:
        check_file_name(text)
    message = str(refused.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    'file_name',
    ['check.py', 'a b.sh', 'prüfung.bash', '検査.py', 'a..b.sh', 'x' * 252 + '.sh', '-'],
)
def test_a_plain_file_name_is_taken(file_name: str) -> None:
    """Any language, spaces inside, dots inside, 255 bytes."""
    check_file_name(file_name)


@pytest.mark.parametrize(
    ('file_name', 'kind'),
    [
        ('a.py', ScriptKind.PYTHON),
        ('a.PY', ScriptKind.PYTHON),
        ('a.sh', ScriptKind.SH),
        ('a.bash', ScriptKind.BASH),
        ('a.launch.py', ScriptKind.LAUNCH),
        ('a.launch.xml', ScriptKind.LAUNCH),
        ('a.launch.yaml', ScriptKind.LAUNCH),
        ('a.launch.yml', ScriptKind.LAUNCH),
        ('brakes_launch.py', ScriptKind.LAUNCH),
        ('brakes_launch.xml', ScriptKind.LAUNCH),
        ('Brakes_Launch.YML', ScriptKind.LAUNCH),
        ('brakes-launch.yaml', ScriptKind.LAUNCH),
        ('launch.py', ScriptKind.LAUNCH),
        ('launch.xml', ScriptKind.LAUNCH),
        ('.launch.py', ScriptKind.LAUNCH),
        ('brakes.launch', ScriptKind.LAUNCH),
        ('prelaunch.py', ScriptKind.PYTHON),
        ('launch_brakes.py', ScriptKind.PYTHON),
        ('a.launch.sh', ScriptKind.SH),
    ],
)
def test_the_name_tells_the_kind(file_name: str, kind: ScriptKind) -> None:
    """What ROS calls a launch file is a launch fragment, not plain Python."""
    assert settle_kind(file_name, None) is kind


def test_without_suffix_the_metadata_tell_the_kind() -> None:
    """Without either nothing is guessed."""
    assert kind_by_name('check') is None
    assert settle_kind('check', ScriptKind.PYTHON) is ScriptKind.PYTHON
    for file_name in ('check', '.sh', 'check.sh.txt', 'a.yaml', '.launch', 'launch'):
        with pytest.raises(ScriptRefused, match='no known suffix'):
            settle_kind(file_name, None)
    for file_name in ('brakes.xml', 'brakes.yaml', 'brakes.yml', 'brakes.py'):
        assert settle_kind(file_name, ScriptKind.LAUNCH) is ScriptKind.LAUNCH
    with pytest.raises(ScriptRefused, match=r'end with \.py, \.xml, \.yaml, \.yml, \.launch'):
        settle_kind('check', ScriptKind.LAUNCH)


def test_a_kind_that_contradicts_the_suffix_is_refused() -> None:
    """Bash may run a `.sh`, launch a `.py`; a Python file is no shell script."""
    assert settle_kind('a.sh', ScriptKind.BASH) is ScriptKind.BASH
    with pytest.raises(ScriptRefused, match='contradicts'):
        settle_kind('a.py', ScriptKind.SH)
    with pytest.raises(ScriptRefused, match='contradicts'):
        settle_kind('a.launch.py', ScriptKind.PYTHON)
    with pytest.raises(ScriptRefused, match='contradicts'):
        settle_kind('a.sh', ScriptKind.LAUNCH)


def test_a_replacement_keeps_the_kind_unless_its_suffix_says_otherwise() -> None:
    """The kind changes with the file name only."""
    assert settle_kind('-', None, ScriptKind.PYTHON) is ScriptKind.PYTHON
    assert settle_kind('a.sh', None, ScriptKind.PYTHON) is ScriptKind.SH
    assert settle_kind('a.sh', None, ScriptKind.BASH) is ScriptKind.BASH
    assert settle_kind('a.py', None, ScriptKind.LAUNCH) is ScriptKind.LAUNCH
    assert settle_kind('a_launch.py', None, ScriptKind.PYTHON) is ScriptKind.LAUNCH


def test_the_catalogue_has_no_two_entries_of_one_name() -> None:
    """A failure names one entry."""
    for entries in (hostile_inputs.METADATA, hostile_inputs.FILE_NAMES):
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
    assert isinstance(hostile_inputs.METADATA[0], HostileDocument)
    assert isinstance(hostile_inputs.FILE_NAMES[0], HostileText)
