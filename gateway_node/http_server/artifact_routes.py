# SPDX-License-Identifier: Apache-2.0
"""The routes of the files that scripts left."""

from typing import Any

from gateway_node.executions.errors import ArtifactNotFound, ExecutionNotFound, StoreUnavailable
from gateway_node.http_server import artifacts
from gateway_node.http_server.media_types import ZIP
from gateway_node.http_server.route import BYTES, Errors, OF_THE_FILE, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPTS
from gateway_node.http_server.subjects import find_library, find_scripts
from gateway_node.scripts.errors import LibraryUnavailable, ScriptsTurnedOff

_OF_SCRIPT = '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}'
_BY_ID = '/executions/{execution_id}'
_OF_SCRIPT_ERRORS: Errors = (*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable)
_BY_ID_ERRORS: Errors = (
    ScriptsTurnedOff,
    LibraryUnavailable,
    ExecutionNotFound,
    StoreUnavailable,
)

ARTIFACT_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        f'{_OF_SCRIPT}/artifacts',
        VIEWER,
        artifacts.list_artifacts,
        artifacts.OfArtifacts,
        finds=find_scripts,
        answers='ArtifactList',
        errors=_OF_SCRIPT_ERRORS,
    ),
    Route(
        'GET',
        f'{_OF_SCRIPT}/artifacts/{{path}}',
        VIEWER,
        artifacts.download_artifact,
        artifacts.OfArtifact,
        finds=find_scripts,
        answers=BYTES,
        media_type=OF_THE_FILE,
        errors=(*_OF_SCRIPT_ERRORS, ArtifactNotFound),
    ),
    Route(
        'GET',
        f'{_OF_SCRIPT}/artifacts.zip',
        VIEWER,
        artifacts.download_artifacts,
        artifacts.OfArchive,
        finds=find_scripts,
        answers=BYTES,
        media_type=ZIP,
        errors=(*_OF_SCRIPT_ERRORS, ArtifactNotFound),
    ),
    Route(
        'GET',
        f'{_BY_ID}/artifacts',
        VIEWER,
        artifacts.list_artifacts,
        artifacts.ByArtifactsId,
        finds=find_library,
        answers='ArtifactList',
        errors=_BY_ID_ERRORS,
    ),
    Route(
        'GET',
        f'{_BY_ID}/artifacts/{{path}}',
        VIEWER,
        artifacts.download_artifact,
        artifacts.ByArtifactId,
        finds=find_library,
        answers=BYTES,
        media_type=OF_THE_FILE,
        errors=(*_BY_ID_ERRORS, ArtifactNotFound),
    ),
    Route(
        'GET',
        f'{_BY_ID}/artifacts.zip',
        VIEWER,
        artifacts.download_artifacts,
        artifacts.ByArchiveId,
        finds=find_library,
        answers=BYTES,
        media_type=ZIP,
        errors=(*_BY_ID_ERRORS, ArtifactNotFound),
    ),
)
