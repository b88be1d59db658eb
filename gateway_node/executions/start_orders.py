# SPDX-License-Identifier: Apache-2.0
"""What is to be started for who wants in, as the runner is to be told."""

from gateway_node.entities.directory import EntityDirectory
from gateway_node.executions.candidates import Candidate
from gateway_node.executions.errors import TimeoutTooLong
from gateway_node.executions.held_secrets import HeldSecrets
from gateway_node.executions.looked_starts import LookedStarts
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.settings import ExecutionSettings
from gateway_node.scripts.values import Script


class StartOrders:
    """Makes them; nothing of what they say is checked but the time limit."""

    def __init__(
        self, settings: ExecutionSettings, secrets: HeldSecrets, looked: LookedStarts
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._looked = looked
        self._directory: EntityDirectory | None = None

    def open(self, directory: EntityDirectory) -> None:
        """Know the nodes of entities from now on."""
        self._directory = directory

    def of(self, candidate: Candidate, script: Script) -> StartOrder:
        """Return the order of a start in a version of its script; TimeoutTooLong."""
        entity = candidate.entity
        return StartOrder(
            execution_id=candidate.execution_id,
            entity=entity,
            script=script,
            parameters=self._secrets.parameters_of(candidate),
            secrets=candidate.secrets,
            preconditions=self._looked.required(candidate, script),
            arguments=candidate.arguments,
            timeout_sec=self._time_limit(candidate, script),
            stop_grace_period_sec=self._settings.stop_grace_period_sec,
            node=None if self._directory is None else self._directory.node_of(entity),
        )

    def _time_limit(self, candidate: Candidate, script: Script) -> float:
        longest_sec = script.timeout_sec or self._settings.default_timeout_sec
        asked_sec = candidate.timeout_sec
        if asked_sec is None:
            return longest_sec
        if asked_sec > longest_sec and not candidate.accepted:
            raise TimeoutTooLong(asked_sec, longest_sec, by_default=script.timeout_sec is None)
        return min(asked_sec, longest_sec)
