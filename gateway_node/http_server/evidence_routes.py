# SPDX-License-Identifier: Apache-2.0
"""The routes of what was around executions."""

from typing import Any

from gateway_node.evidence.errors import EvidenceNotFound, NothingPassed
from gateway_node.executions.errors import BeyondScope, ExecutionNotFound, StoreUnavailable
from gateway_node.http_server import artifacts, execution_evidence
from gateway_node.http_server.execution_paths import and_by_id, OF_SCRIPT
from gateway_node.http_server.media_types import ZIP
from gateway_node.http_server.route import BYTES, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPTS
from gateway_node.http_server.subjects import find_way, OfExecution

_OF_RECORDS = (*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable)

EVIDENCE_ROUTES: tuple[Route[Any, Any], ...] = (
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/evidence',
            VIEWER,
            execution_evidence.show_evidence,
            OfExecution,
            finds=find_way,
            answers='Evidence',
            errors=(*_OF_RECORDS, BeyondScope, EvidenceNotFound),
        ),
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/evidence.zip',
            VIEWER,
            execution_evidence.download_evidence,
            artifacts.OfArchive,
            finds=find_way,
            answers=BYTES,
            media_type=ZIP,
            errors=(*_OF_RECORDS, BeyondScope, EvidenceNotFound),
        ),
        artifacts.ByArchiveId,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/comparison',
            VIEWER,
            execution_evidence.compare_executions,
            execution_evidence.OfComparison,
            finds=find_way,
            answers='Comparison',
            errors=(*_OF_RECORDS, NothingPassed),
        ),
        execution_evidence.ByComparedId,
    ),
)
