# SPDX-License-Identifier: Apache-2.0
"""The parameters of evidence; a part of the table in `specifications.py`."""

from gateway_node.ros.parameter_specification import ParameterSpecification, ParameterType
from gateway_node.scripts.evidence_policy import EvidenceWhen

EVIDENCE_PARAMETERS: tuple[ParameterSpecification, ...] = (
    ParameterSpecification(
        name='evidence.default',
        type=ParameterType.STRING,
        default=EvidenceWhen.NEVER.value,
        form=', '.join(when.value for when in EvidenceWhen),
        pattern='|'.join(when.value for when in EvidenceWhen),
        description='Of which executions it is kept what was around them, where neither their '
        'script nor their instance says; on_failure are those that failed or found a fault.',
    ),
    ParameterSpecification(
        name='evidence.max_mb',
        type=ParameterType.NUMBER,
        default=20.0,
        unit='MiB',
        minimum=1,
        maximum=1000,
        description='Most that the evidence of one execution holds, before it is compressed.',
    ),
)
