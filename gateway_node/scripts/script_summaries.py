# SPDX-License-Identifier: Apache-2.0
"""Scripts as JSON values: what there is to know of one, in short."""

import dataclasses
from typing import Any

from gateway_node.scripts.values import Script


def script_summary(script: Script) -> dict[str, Any]:
    """Return what is known of a script, but for its parameters_schema, which may be long."""
    limits = dataclasses.asdict(script.limits)
    optional = {
        'confirmation': script.confirmation,
        'timeout_sec': script.timeout_sec,
        'exit_verdicts': {
            str(code): verdict.value for code, verdict in script.exit_verdicts.items()
        },
        'retries': script.retries and dataclasses.asdict(script.retries),
        'limits': {name: bound for name, bound in limits.items() if bound is not None},
        'preconditions': [dict(each.document) for each in script.preconditions],
        'evidence': script.evidence and script.evidence.document(),
        'mended': [mending.value for mending in script.mended],
        'entry': script.entry,
    }
    return {
        'id': script.id,
        'name': script.name,
        'description': script.description,
        'managed': script.managed,
        'kind': script.kind.value,
        'version': script.version,
        'size': script.size,
        'tags': list(script.tags),
        'single_execution': script.single_execution,
        'proximity_proof_required': script.proximity_proof_required,
        **({} if script.warm else {'warm': False}),
        **{name: value for name, value in optional.items() if value},
    }
