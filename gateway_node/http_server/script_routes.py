# SPDX-License-Identifier: Apache-2.0
"""The routes of scripts."""

from typing import Any

from gateway_node.entities.errors import EntityNotFound
from gateway_node.executions.errors import (
    BeyondScope,
    DiskSpaceLow,
    EntityLocked,
    IdempotencyKeyReused,
    ScriptHasOpenExecutions,
    StoreUnavailable,
)
from gateway_node.http_server import readiness_requests, script_lists, scripts
from gateway_node.http_server.bodies import UploadBody
from gateway_node.http_server.errors import ContentNotFound
from gateway_node.http_server.route import BYTES, CONFIGURATOR, Route, VIEWER
from gateway_node.http_server.subjects import (
    find_entity,
    find_library,
    find_script,
    OfScript,
)
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    SchemaCheckUnavailable,
    ScriptIsManaged,
    ScriptLimitReached,
    ScriptNotFound,
    ScriptRefused,
    ScriptsTurnedOff,
    ScriptTooLarge,
    UploadsTurnedOff,
    VersionNotFound,
)
from gateway_node.triggers.errors import InstanceNotFound

ERRORS_OF_SCRIPTS = (EntityNotFound, ScriptsTurnedOff, LibraryUnavailable)
ERRORS_OF_SCRIPT = (*ERRORS_OF_SCRIPTS, ScriptNotFound)
_UPLOAD = (
    EntityLocked,
    UploadsTurnedOff,
    BeyondScope,
    ScriptRefused,
    ScriptTooLarge,
    SchemaCheckUnavailable,
    DiskSpaceLow,
)

SCRIPT_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        '/scripts',
        VIEWER,
        script_lists.list_all_scripts,
        script_lists.OfScripts,
        finds=find_library,
        answers='FoundScriptList',
        errors=(ScriptsTurnedOff, LibraryUnavailable, StoreUnavailable),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts',
        VIEWER,
        scripts.list_scripts,
        scripts.OfScriptList,
        finds=find_entity,
        answers='ScriptList',
        errors=ERRORS_OF_SCRIPTS,
    ),
    Route(
        'POST',
        '/{collection}/{entity_id}/scripts',
        CONFIGURATOR,
        scripts.upload_script,
        scripts.OfUpload,
        finds=find_entity,
        body=UploadBody(),
        status=201,
        answers='UploadedScript',
        errors=(
            *ERRORS_OF_SCRIPT,
            *_UPLOAD,
            ScriptLimitReached,
            IdempotencyKeyReused,
            StoreUnavailable,
        ),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}',
        VIEWER,
        scripts.show_script,
        OfScript,
        finds=find_entity,
        answers='Script',
        errors=ERRORS_OF_SCRIPT,
    ),
    Route(
        'PUT',
        '/{collection}/{entity_id}/scripts/{script_id}',
        CONFIGURATOR,
        scripts.replace_script,
        OfScript,
        finds=find_script,
        body=UploadBody(),
        answers='Script',
        errors=(*ERRORS_OF_SCRIPT, *_UPLOAD, ScriptIsManaged),
    ),
    Route(
        'DELETE',
        '/{collection}/{entity_id}/scripts/{script_id}',
        CONFIGURATOR,
        scripts.delete_script,
        OfScript,
        finds=find_entity,
        status=204,
        errors=(
            *ERRORS_OF_SCRIPT,
            UploadsTurnedOff,
            EntityLocked,
            ScriptIsManaged,
            ScriptHasOpenExecutions,
        ),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/content',
        VIEWER,
        scripts.download_script,
        scripts.OfVersion,
        finds=find_entity,
        answers=BYTES,
        errors=(*ERRORS_OF_SCRIPT, VersionNotFound, ContentNotFound),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/versions',
        VIEWER,
        scripts.list_versions,
        OfScript,
        finds=find_entity,
        answers='ScriptVersionList',
        errors=(*ERRORS_OF_SCRIPT, StoreUnavailable),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/readiness',
        VIEWER,
        readiness_requests.show_script_readiness,
        readiness_requests.OfReadiness,
        finds=find_entity,
        answers='Readiness',
        errors=(*ERRORS_OF_SCRIPT, InstanceNotFound),
    ),
)
