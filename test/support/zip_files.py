# SPDX-License-Identifier: Apache-2.0
"""Archives, as clients make them."""

from collections.abc import Mapping
import io
from typing import Any
import zipfile


def archive_of(
    files: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED, **attributes: Any
) -> bytes:
    """Return an archive; each member has the attributes, of `zipfile.ZipInfo`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.writestr(info, content)
    return out.getvalue()
