# SPDX-License-Identifier: Apache-2.0
"""What an execution carries of its script: as that was for it, whatever becomes of the script."""

from typing import Any

from gateway_node.scripts.values import Script


def script_fields(script: Script) -> dict[str, Any]:
    """Return these fields of an `Execution`, its id apart."""
    return {
        'script_version': script.version,
        'script_name': script.name,
        'script_kind': script.kind,
        'script_tags': script.tags,
        'mended': script.mended,
        'exit_verdicts': script.exit_verdicts,
        'retries': script.retries,
    }
