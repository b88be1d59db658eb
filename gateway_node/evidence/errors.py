# SPDX-License-Identifier: Apache-2.0
"""What goes wrong where evidence is taken, kept or compared."""


class EvidenceError(Exception):
    """Base of the errors of this room."""


class Unavailable(EvidenceError):
    """Something that was to be evidence cannot be had; the text says what and why, for a
    person."""
