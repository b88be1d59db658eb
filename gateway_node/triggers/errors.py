# SPDX-License-Identifier: Apache-2.0
"""Errors of the triggers' room."""

from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.strict_json import clip
from gateway_node.violations import Violation


class InstanceNotFound(Exception):
    """A script has no such instance."""

    def __init__(self, ref: InstanceRef) -> None:
        super().__init__(
            f'script {ref.script_id!r} of {ref.entity.path} has no instance {ref.name!r}'
        )
        self.ref = ref


class InstanceExists(Exception):
    """A script has an instance of that name already."""

    def __init__(self, ref: InstanceRef) -> None:
        super().__init__(
            f'script {ref.script_id!r} of {ref.entity.path} has an instance {ref.name!r}; '
            'replace it, or take another name'
        )
        self.ref = ref


class InstanceIsManaged(Exception):
    """A managed instance can be neither replaced nor deleted."""

    def __init__(self, ref: InstanceRef) -> None:
        super().__init__(
            f'instance {ref.name!r} is managed: it comes from the scripts manifest and can be '
            'neither replaced nor deleted; allowed: to enable, disable, start and stop it'
        )
        self.ref = ref


class InstanceHasOpenExecution(Exception):
    """An instance cannot be deleted while its execution is open."""

    def __init__(self, ref: InstanceRef, execution_id: str) -> None:
        super().__init__(
            f'instance {ref.name!r} has an open execution, {execution_id}; stop it first'
        )
        self.ref = ref
        self.execution_id = execution_id


class InstanceNotRunning(Exception):
    """An instance has no open execution that could be stopped."""

    def __init__(self, ref: InstanceRef) -> None:
        super().__init__(f'instance {ref.name!r} has no open execution')
        self.ref = ref


class InstanceLimitReached(Exception):
    """As many instances are made as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f'{limit} instances are made, as many as triggers.max_instances allows; delete one'
        )
        self.limit = limit


class SecretsInInstance(ParametersInvalid):
    """An instance would have to keep secrets."""

    def __init__(self, pointers: tuple[str, ...]) -> None:
        reason = 'is a secret, which no instance keeps; allowed: in a start of the script alone'
        more = f' (and {len(pointers) - 1} more)' if len(pointers) > 1 else ''
        super().__init__(
            f'the parameter {clip(pointers[0])}{more} {reason}',
            tuple(Violation(path=each, reason=reason) for each in pointers),
        )
        self.pointers = pointers
