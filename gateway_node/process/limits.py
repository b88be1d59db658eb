# SPDX-License-Identifier: Apache-2.0
"""From a script's limits, and defaults, to what a supervisor keeps."""

from typing import TypeVar

from gateway_node.child.messages import ArtifactBounds, SupervisorLimits
from gateway_node.scripts.values import Limits

_Bound = TypeVar('_Bound', int | None, float | None)

_MIB = 1024 * 1024
NO_LIMITS = SupervisorLimits(
    cpu_sec=None,
    memory_mb=None,
    processes=None,
    open_files=None,
    file_size_mb=None,
    output_mb=None,
)


def supervisor_limits(limits: Limits, default: Limits) -> SupervisorLimits:
    """Return the script's limits, and the default where it sets none."""
    return SupervisorLimits(
        cpu_sec=_pick(limits.cpu_sec, default.cpu_sec),
        memory_mb=_pick(limits.memory_mb, default.memory_mb),
        processes=_pick(limits.processes, default.processes),
        open_files=_pick(limits.open_files, default.open_files),
        file_size_mb=_pick(limits.file_size_mb, default.file_size_mb),
        output_mb=_pick(limits.output_mb, default.output_mb),
    )


def artifact_bounds(
    *, max_files: int = 100, max_file_mb: float = 100.0, max_total_mb: float = 200.0
) -> ArtifactBounds:
    """Return what a supervisor keeps of the files that scripts leave."""
    return ArtifactBounds(
        max_files=max_files,
        max_file_bytes=int(max_file_mb * _MIB),
        max_total_bytes=int(max_total_mb * _MIB),
    )


def _pick(own: _Bound, general: _Bound) -> _Bound:
    return general if own is None else own
