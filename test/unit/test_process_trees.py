# SPDX-License-Identifier: Apache-2.0
"""Walks over process trees, and what is counted of them."""

import os

import pytest

from gateway_node.child import process_tree


def test_a_pid_that_was_given_away_is_not_in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is gone when its entry is read is not confused with its pid's new owner."""
    stranger = os.getppid()
    monkeypatch.setattr(process_tree, '_children', process_tree._children_from_lists)
    monkeypatch.setattr(process_tree, '_listed_children', {os.getpid(): [stranger]}.get)
    monkeypatch.setattr(process_tree, '_WALKS', 1)
    assert process_tree.descendants(os.getpid()) == []
