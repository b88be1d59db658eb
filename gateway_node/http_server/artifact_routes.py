# SPDX-License-Identifier: Apache-2.0
"""The routes of the files that scripts left."""

from typing import Any

from gateway_node.executions.errors import ArtifactNotFound, ExecutionNotFound, StoreUnavailable
from gateway_node.http_server import artifacts
from gateway_node.http_server.execution_paths import and_by_id, OF_SCRIPT
from gateway_node.http_server.media_types import ZIP
from gateway_node.http_server.route import BYTES, OF_THE_FILE, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPTS
from gateway_node.http_server.subjects import find_way

_LEFT = (*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable)

ARTIFACT_ROUTES: tuple[Route[Any, Any], ...] = (
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/artifacts',
            VIEWER,
            artifacts.list_artifacts,
            artifacts.OfArtifacts,
            finds=find_way,
            answers='ArtifactList',
            errors=_LEFT,
        ),
        artifacts.ByArtifactsId,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/artifacts/{{path}}',
            VIEWER,
            artifacts.download_artifact,
            artifacts.OfArtifact,
            finds=find_way,
            answers=BYTES,
            media_type=OF_THE_FILE,
            errors=(*_LEFT, ArtifactNotFound),
        ),
        artifacts.ByArtifactId,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/artifacts.zip',
            VIEWER,
            artifacts.download_artifacts,
            artifacts.OfArchive,
            finds=find_way,
            answers=BYTES,
            media_type=ZIP,
            errors=(*_LEFT, ArtifactNotFound),
        ),
        artifacts.ByArchiveId,
    ),
)
