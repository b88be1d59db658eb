# SPDX-License-Identifier: Apache-2.0
"""Codes are published only where no other host can listen."""

import pytest

from gateway_node.ros.discovery_range import is_this_host

RANGE, PEERS, ONLY = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS', 'ROS_LOCALHOST_ONLY'


@pytest.mark.parametrize(
    ('environ', 'is_local'),
    [
        ({}, False),
        ({RANGE: ''}, False),
        ({RANGE: 'SUBNET'}, False),
        ({RANGE: 'SYSTEM_DEFAULT'}, False),
        ({RANGE: 'localhost'}, False),
        ({RANGE: 'LOCALHOST'}, True),
        ({RANGE: 'LOCALHOST', PEERS: ''}, True),
        ({RANGE: 'LOCALHOST', PEERS: '10.0.0.7'}, False),
        ({RANGE: 'OFF', PEERS: '10.0.0.7'}, True),
        ({ONLY: '0'}, False),
        ({ONLY: '0', RANGE: 'LOCALHOST'}, True),
        ({ONLY: '1'}, True),
        ({ONLY: '1', RANGE: 'SUBNET', PEERS: '10.0.0.7'}, True),
    ],
)
def test_the_environment_says_how_far_nodes_are_discovered(
    environ: dict[str, str], is_local: bool
) -> None:
    """As rcl reads it; what it does not know reaches the network."""
    assert is_this_host(environ) is is_local
