# SPDX-License-Identifier: Apache-2.0
"""The zone of the machine, with its rules for summer and winter."""

import datetime
import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALTIME = Path('/etc/localtime')


def local_zone() -> datetime.tzinfo:
    """Return what TZ names, or else what /etc/localtime holds (man 3 tzset); where neither can be
    read, the offset of the moment."""
    name = os.environ.get('TZ')
    try:
        if name == '':
            return datetime.UTC
        if name is not None:
            return ZoneInfo(name.removeprefix(':'))
        with LOCALTIME.open('rb') as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return datetime.datetime.now(datetime.UTC).astimezone().tzinfo or datetime.UTC


def zone_mark() -> object:
    """Return what differs once somebody has given the machine another zone."""
    try:
        known = LOCALTIME.stat()
    except OSError:
        return None
    return known.st_ino, known.st_mtime_ns
