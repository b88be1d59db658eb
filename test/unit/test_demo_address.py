# SPDX-License-Identifier: Apache-2.0
"""Where the demo looks for the gateway that it started."""

import pytest

from gateway_node.demo.__main__ import api_base, DemoEnded


@pytest.mark.parametrize(
    ('parameters', 'base'),
    [
        ([], 'http://127.0.0.1:8080/api/v1'),
        (['server.port:=18080'], 'http://127.0.0.1:18080/api/v1'),
        (['server.host:=0.0.0.0'], 'http://127.0.0.1:8080/api/v1'),
        (['server.host:=::'], 'http://127.0.0.1:8080/api/v1'),
        (["server.host:='[::1], 10.0.0.7'"], 'http://[::1]:8080/api/v1'),
        (["server.path_prefix:='/robot'"], 'http://127.0.0.1:8080/robot/api/v1'),
    ],
)
def test_the_demo_finds_the_address_in_the_gateways_arguments(
    parameters: list[str], base: str
) -> None:
    """Host, port and prefix given as parameters are those that the demo asks."""
    args = ['--ros-args']
    for parameter in parameters:
        args += ['-p', parameter]
    assert api_base(args) == base


def test_the_demo_needs_a_port_that_it_knows() -> None:
    """A port that the gateway picks itself is refused, with what to do instead."""
    with pytest.raises(DemoEnded, match='give another'):
        api_base(['--ros-args', '-p', 'server.port:=0'])
