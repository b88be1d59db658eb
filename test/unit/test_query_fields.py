# SPDX-License-Identifier: Apache-2.0
"""The kinds of values by which lists are searched."""

import datetime

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
import pytest

from gateway_node.executions.filters import TriggerFilter
from gateway_node.executions.values import ExecutionStatus, TriggerType
from gateway_node.http_server.fields import Choice, Integer, ValueRefused
from gateway_node.http_server.query_fields import (
    AddedColumns,
    Columns,
    EntityPattern,
    MAX_VALUES,
    Moment,
    SearchText,
    Several,
    TriggerText,
)

STATUSES = Several(Choice(ExecutionStatus))
TEXTS = Several(SearchText(listed=True))


@pytest.mark.parametrize(
    ('texts', 'found'),
    [
        (['a'], {'a'}),
        (['a,b'], {'a', 'b'}),
        (['a', 'b,c', 'a'], {'a', 'b', 'c'}),
        (['a\\,b,c'], {'a,b', 'c'}),
        (['a\\\\,b'], {'a\\', 'b'}),
        (['LAB\\user'], {'LAB\\user'}),
        (['a\\'], {'a\\'}),
        ([' a , b'], {' a ', ' b'}),
    ],
)
def test_several_values_are_repeated_or_have_commas_between_them(
    texts: list[str], found: set[str]
) -> None:
    """A backslash takes a comma, or another backslash, as it is; any other one is itself."""
    assert TEXTS.read_texts(texts) == found


@pytest.mark.parametrize('text', ['[1,2]', '{"a":1,"b":2}', 'a\\,b', '\\\\', ','])
def test_values_without_commas_between_them_are_taken_as_they_are(text: str) -> None:
    """Backslashes, too; the name is repeated for alternatives, and the form is told so."""
    field = Several(SearchText(), commas=False)
    assert field.read_texts([text, 'b']) == {text, 'b'}
    assert Draft202012Validator(field.schema()).is_valid([text, 'b'])


@given(st.lists(st.text(st.characters(exclude_characters='\0'), min_size=1), min_size=1))
def test_any_values_can_be_written_with_commas_between_them(values: list[str]) -> None:
    """Whatever is in them."""
    written = ','.join(each.replace('\\', '\\\\').replace(',', '\\,') for each in values)
    assert TEXTS.read_texts([written]) == set(values)


@given(st.text(st.sampled_from('ab\\,\0'), max_size=8))
def test_the_form_of_a_listed_text_is_told_as_it_is_read(text: str) -> None:
    """A schema that allows what is refused would be no use to anybody."""
    taken = Draft202012Validator(SearchText(listed=True).schema()).is_valid(text)
    try:
        TEXTS.read_texts([text])
    except ValueRefused:
        assert not taken
    else:
        assert taken


def test_each_wrong_value_is_told() -> None:
    """With what is allowed; an empty one between two commas, too."""
    with pytest.raises(ValueRefused) as caught:
        STATUSES.read_texts(['running,done', '', 'ended'])
    assert [each.reason.partition(';')[0] for each in caught.value.violations] == [
        "is 'done'",
        "is ''",
        "is 'ended'",
    ]
    assert all('allowed: prepared, ' in each.reason for each in caught.value.violations)


def test_the_number_of_values_is_bounded() -> None:
    """As it is told: the same one twice counts twice."""
    many = ','.join(str(number) for number in range(MAX_VALUES))
    assert len(Several(Integer(0, 999)).read_texts([many])) == MAX_VALUES
    for more in ('500', '1'):
        with pytest.raises(ValueRefused, match=f'has 101 values; allowed: {MAX_VALUES}'):
            Several(Integer(0, 999)).read_texts([many, more])


@pytest.mark.parametrize('text', ['apps/arm', 'components/host-1', 'apps/*', '*', '*/a?m', '?*'])
def test_a_path_of_an_entity_or_a_pattern_is_taken(text: str) -> None:
    """As it is."""
    assert EntityPattern().read(text) == text
    assert Draft202012Validator(EntityPattern().schema()).is_valid(text)


@pytest.mark.parametrize('value', ['failed', [], None])
def test_what_is_no_list_is_told_how_many_values_one_has(value: object) -> None:
    """An empty list is one to whoever sent it."""
    with pytest.raises(ValueRefused, match='is no list of values; allowed: 1 to 100 in a list'):
        STATUSES.read(value)


@pytest.mark.parametrize('text', ['arm', '', 'app/arm', 'apps/', 'apps/[ab]*', 'a b*', 'x*' * 999])
def test_what_no_entity_can_have_is_refused(text: str) -> None:
    """It would find nothing, and nobody would know why."""
    with pytest.raises(ValueRefused, match='allowed: a path such as apps/temp_sensor'):
        EntityPattern().read(text)
    assert not Draft202012Validator(EntityPattern().schema()).is_valid(text)


def test_a_trigger_is_a_type_and_perhaps_a_setting() -> None:
    """A setting may have colons of its own."""
    read = TriggerText().read
    assert read('manual') == TriggerFilter(type=TriggerType.MANUAL)
    assert read('restart:exec_1') == TriggerFilter(type=TriggerType.RESTART, setting='exec_1')
    assert read('system:a:b') == TriggerFilter(type=TriggerType.SYSTEM, setting='a:b')
    for text in ('', 'Manual', 'manual:', ':stop', 'cron'):
        with pytest.raises(ValueRefused, match='allowed'):
            read(text)


@pytest.mark.parametrize(
    ('text', 'moment'),
    [
        ('2026-01-31T12:00:00Z', '2026-01-31T12:00:00+00:00'),
        ('2026-01-31t12:00:00z', '2026-01-31T12:00:00+00:00'),
        ('2026-01-31 12:00:00Z', '2026-01-31T12:00:00+00:00'),
        ('2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00.500000+00:00'),
        ('2026-01-31T12:00:00.1234567899Z', '2026-01-31T12:00:00.123456+00:00'),
        ('2026-01-31T13:00:00+01:00', '2026-01-31T12:00:00+00:00'),
        ('2026-01-31T13:00:00 01:00', '2026-01-31T12:00:00+00:00'),
        ('2026-01-31T11:00:00-01:00', '2026-01-31T12:00:00+00:00'),
        ('2016-12-31T23:59:60Z', '2017-01-01T00:00:00+00:00'),
        ('0000-01-01T00:00:00Z', '0001-01-01T00:00:00+00:00'),
        ('0001-01-01T00:00:00+01:00', '0001-01-01T00:00:00+00:00'),
        ('9999-12-31T23:59:59-01:00', '9999-12-31T23:59:59.999999+00:00'),
    ],
)
def test_a_moment_has_an_offset(text: str, moment: str) -> None:
    """A `+` that was sent as it is arrives as a space, and is understood; what Python cannot hold
    is as early, or as late, as anything is."""
    assert Moment().read(text).isoformat() == moment
    assert Moment().read(text).tzinfo is datetime.UTC


@pytest.mark.parametrize(
    'text',
    ['', 'now', '2026-01-31', '2026-01-31T12:00:00', '2026-01-31T12:00Z', '2026-02-30T12:00:00Z',
     '2026-01-31T25:00:00Z', '1769860800', '2026-01-31T12:00:00+0100', '\uff12026-01-31T12:00:00Z',
     '2026-01-31T12:00:00Z\n', '2026-01-31T12:00:61Z'],
)  # fmt: skip
def test_a_time_that_could_mean_several_moments_is_none(text: str) -> None:
    """A day, or a time without an offset, is another one in each zone."""
    with pytest.raises(ValueRefused, match=r'RFC 3339.*%2B'):
        Moment().read(text)


def test_columns_are_named_once_and_in_order() -> None:
    """All that nobody knows are told."""
    columns = Columns(['id', 'status', 'entity'])
    assert columns.read_texts(['status,id', 'status']) == ('status', 'id')
    with pytest.raises(ValueRefused, match=r"is 'x'; allowed: id, status, entity") as caught:
        columns.read_texts(['x,id', ''])
    assert len(caught.value.violations) == 2


@given(st.lists(st.text(st.characters(exclude_characters='\0'), min_size=1), min_size=1))
def test_columns_that_are_added_have_any_names(names: list[str]) -> None:
    """Written as several values are; the form that is told takes them."""
    field = AddedColumns(['metrics', 'parameters'])
    written = [f'metrics.{each}'.replace('\\', '\\\\').replace(',', '\\,') for each in names]
    read = field.read_texts([','.join(written)])
    assert read == tuple(dict.fromkeys(f'metrics.{each}' for each in names))
    assert Draft202012Validator(field.schema()).is_valid(written)


def test_columns_that_are_no_metric_and_no_parameter_are_told() -> None:
    """Each with what is allowed."""
    field = AddedColumns(['metrics', 'parameters'])
    for text in ('metrics.', 'metrics', 'id', 'Metrics.a', '.a', '', 'metrics.\0', ' metrics.a'):
        with pytest.raises(ValueRefused, match=r'allowed: metrics.NAME, parameters.NAME'):
            field.read_texts([text])
        assert not Draft202012Validator(field.schema()).is_valid([text])
