# SPDX-License-Identifier: Apache-2.0
"""A file that a script left, and that is kept with its execution."""

from dataclasses import dataclass
import datetime


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What is known of one."""

    path: str
    """Below the folder that the script had for it, with slashes."""
    size: int
    """Bytes."""
    modified_at: datetime.datetime
    """When the script last wrote to it, by the robot's clock; whole seconds."""
    crc32: int
    """As zip archives have it."""
    sha256: str
    """Of the content, in hexadecimal digits."""
