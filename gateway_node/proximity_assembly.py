# SPDX-License-Identifier: Apache-2.0
"""What checks proofs of proximity, made of what the configuration says."""

from collections.abc import Sequence
import importlib
from typing import TYPE_CHECKING

from gateway_node.clock import Clock
from gateway_node.executions.proximity import NoProximityCheck, ProximityCheck
from gateway_node.ros.access_configuration import ProximityConfiguration
from gateway_node.ros.errors import ParameterInvalid

if TYPE_CHECKING:
    from gateway_node.access.one_time_codes import CodeDisplay
    from gateway_node.access.proximity_verifier import ProximityVerifier


def proximity_check(
    configuration: ProximityConfiguration, clock: Clock, displays: 'Sequence[CodeDisplay]'
) -> ProximityCheck:
    """Return it; one-time codes are shown on the displays. ParameterInvalid.

    What checks proofs is imported where something is to: most gateways have nothing.
    """
    if not configuration.verifier and not displays:
        return NoProximityCheck()
    from gateway_node.access.verified_proximity import VerifiedProximity

    verifier = (
        _verifier_of_the_site(configuration.verifier)
        if configuration.verifier
        else _one_time_codes(configuration, clock, displays)
    )
    return VerifiedProximity(verifier, clock, max_failures=configuration.max_failures)


def _one_time_codes(
    configuration: ProximityConfiguration, clock: Clock, displays: 'Sequence[CodeDisplay]'
) -> 'ProximityVerifier':
    from gateway_node.access.one_time_codes import OneTimeCodes

    return OneTimeCodes(
        displays, clock, digits=configuration.code_digits, valid_sec=configuration.valid_sec
    )


def _verifier_of_the_site(name: str) -> 'ProximityVerifier':
    """Return what a factory of the site's makes, given as `package.module:factory`."""
    module, _, factory = name.partition(':')
    try:
        verifier: ProximityVerifier = getattr(importlib.import_module(module), factory)()
    except Exception as error:
        # Code of the site's may raise anything; the start then says so in one line.
        allowed = f'what makes a ProximityVerifier; it does not: {error!r}'
        raise ParameterInvalid('proximity.verifier', name, allowed) from error
    return verifier
