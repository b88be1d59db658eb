# SPDX-License-Identifier: Apache-2.0
"""Ids made from names, and the syntax that every id of the API obeys."""

import re

MAX_ID_LENGTH = 256
"""Characters of an id; ROS names end at 255."""

ID_PATTERN = rf'[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{MAX_ID_LENGTH - 1}}}'
"""As a regular expression of Python and of JSON Schema."""

RESERVED_IDS = frozenset({'docs'})
"""What nothing is called in whose place a path could say that: `/apps/docs` describes the apps."""

_ID = re.compile(ID_PATTERN)
_NOT_IN_ID = re.compile(r'[^A-Za-z0-9_-]+')


def is_id(text: str) -> bool:
    """Tell whether `text` is an id: letters, digits, `_`, `-` and `.`; the first no `-` or `.`."""
    return _ID.fullmatch(text) is not None


def id_from_name(name: str) -> str:
    """Make an id of any name (a hostname, a namespace): what an id cannot hold becomes `_`."""
    return _NOT_IN_ID.sub('_', name).strip('_-')[:MAX_ID_LENGTH] or 'unnamed'
