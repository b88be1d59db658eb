# SPDX-License-Identifier: Apache-2.0
"""Scripts that come to a library, as requests bring them."""

from collections.abc import Container, Mapping
from typing import Any

import versions

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import parse_metadata
from gateway_node.scripts.values import Script

APP = EntityRef.from_path('apps/temp_sensor')


async def create_script(
    library: ScriptLibrary,
    content: bytes = b'true\n',
    *,
    file_name: str = 'check.sh',
    metadata: Mapping[str, Any] | None = None,
    entity: EntityRef = APP,
) -> Script:
    """Upload a script."""
    async with library.begin_upload() as upload:
        await upload.write(content)
        return await library.create(entity, upload, file_name, parse_metadata(metadata or {}))


async def replace_script(
    library: ScriptLibrary,
    script: Script,
    content: bytes,
    *,
    file_name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    in_use: Container[str] = (),
) -> Script:
    """Replace a script of APP."""
    async with library.begin_upload(replacing=True) as upload:
        await upload.write(content)
        return await library.replace(
            APP,
            script.id,
            upload,
            file_name=file_name,
            metadata=None if metadata is None else parse_metadata(metadata),
            versions_in_use=versions.in_use(in_use),
        )
