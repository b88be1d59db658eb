# SPDX-License-Identifier: Apache-2.0
"""What a client shows to a gateway: a token, from wherever it is."""

import os
from pathlib import Path
import re
from urllib.parse import urlsplit

_FILE_VARIABLE, _URL_VARIABLE = 'GATEWAY_CREDENTIALS', 'GATEWAY_URL'
"""Of scripts that a gateway executes: what they show to it, and where it is."""
_HEADER = re.compile(r'authorization:\s*bearer\s+', re.IGNORECASE)
_TOKEN = re.compile(r'[!-~]+')


def authorization(url: str, token: str | None, token_file: Path | str | None) -> dict[str, str]:
    """Return the header that shows a token, or the first line of a file; none without either.

    In a script, the gateway that executes it is shown what it gave the script for that; no other
    one is.

    Raises:
        OSError: the file cannot be read.
        ValueError: both are given, or what is given is no token.
    """
    if token is not None and token_file is not None:
        raise ValueError('a client shows a token, or that of a file, not both')
    if token is None and token_file is None:
        token_file = _own_file(url)
    if token_file is not None:
        token = _HEADER.sub('', _first_line(token_file), count=1)
    if token is None:
        return {}
    if not _TOKEN.fullmatch(token):
        # Without what it is.
        raise ValueError('a token has visible characters of ASCII, and no space')
    return {'Authorization': f'Bearer {token}'}


def _own_file(url: str) -> str | None:
    named = os.environ.get(_URL_VARIABLE)
    if named is None or _origin(named) != _origin(url):
        return None
    return os.environ.get(_FILE_VARIABLE)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _first_line(path: Path | str) -> str:
    with open(path, encoding='ascii', errors='replace') as file:
        return file.readline().strip()
