# SPDX-License-Identifier: Apache-2.0
"""Executions as documents."""

import dataclasses
import json

from executions_of_any_kind import ANY_EXECUTIONS, FIELDS
from fakes import as_listed, new_execution
from hypothesis import given

from gateway_node.executions.document_reading import execution_from, execution_of
from gateway_node.executions.documents import (
    changed_fields,
    evolved,
    summary_of,
    to_document,
    to_parameters,
    to_text,
)
from gateway_node.executions.values import Execution


@given(ANY_EXECUTIONS)
def test_no_field_is_lost_either_way(execution: Execution) -> None:
    """Any execution comes back from its document exactly as it was."""
    assert execution_from(to_document(execution), to_parameters(execution)) == execution


@given(ANY_EXECUTIONS, ANY_EXECUTIONS)
def test_changed_fields_make_the_next_summary(before: Execution, after: Execution) -> None:
    """Whatever changed, a reader that has the summary before and the changes, as JSON, has the
    summary after; what did not change is not among them."""
    changes = json.loads(to_text(changed_fields(summary_of(before), summary_of(after))))
    assert evolved(summary_of(before), changes) == summary_of(after)
    assert execution_of(evolved(summary_of(before), changes)) == as_listed(after)
    assert changed_fields(summary_of(after), summary_of(after)) == {}


@given(ANY_EXECUTIONS)
def test_a_document_is_text_that_can_be_kept_and_sent(execution: Execution) -> None:
    """SQLite's text and UTF-8 hold no lone surrogates nor, safely, NUL: the document has none,
    nor any other control character of ASCII."""
    for document in (to_document(execution), to_parameters(execution)):
        assert document.encode().decode() == document
        assert not any(each < ' ' for each in document)
    assert to_parameters(execution).isascii()


def test_a_document_says_other_letters_as_they_are() -> None:
    """So they are answered, and take no more room."""
    assert 'Prüfung 検査' in to_document(new_execution(1, script_name='Prüfung 検査'))


def test_the_properties_know_every_field() -> None:
    """A field that is added to Execution must be added to the strategy of these tests."""
    fields = {field.name for field in dataclasses.fields(Execution)}
    assert fields == FIELDS.keys()


def test_a_text_that_utf_8_cannot_say_is_escaped() -> None:
    """Lone surrogates are kept, and what else there is comes back as it was."""
    told = {'name': 'gemäß \ud800'}
    text = to_text(told)
    assert text.isascii()
    assert json.loads(text) == told
