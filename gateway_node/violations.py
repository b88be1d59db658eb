# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a JSON document from outside: all of it at once, each by its place."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One place of a JSON document that breaks a rule."""

    path: str
    """JSON Pointer into the document; the empty string is the document itself."""
    reason: str
