# SPDX-License-Identifier: Apache-2.0
"""Exits with a text that cannot be made."""

import sys


class Text:
    """Has no text."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError('no text')


sys.exit(Text())  # type: ignore[arg-type]
