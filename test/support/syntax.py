# SPDX-License-Identifier: Apache-2.0
"""Reading Python source in tests."""

import ast
import gc


def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a source.

    Not while garbage is collected: what that logs of another test has a traceback, whose carets
    take an `ast.parse` inside this one, and CPython 3.11 then raises SystemError (gh-106905).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collects:
            gc.enable()
