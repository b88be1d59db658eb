# SPDX-License-Identifier: Apache-2.0
"""Values of parameters are read as rcl reads them, of which rclpy is asked."""

import array

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

from gateway_node.ros.parameter_files import scalar_or_list

WHOLE = '5 +5 -0 0x1F 0X1f -0x1F +0x10 010 -010 00 0777 9223372036854775807 0x7fffffffffffffff'
FRACTIONAL = '1. .5 5.e3 1e5 1E+5 1e-5 08 010.5 0e999 -0.0 0x1p3 0x1.8 0x1P-2 9223372036854775808'
NO_NUMBERS = '.inf -.Inf +.INF inf -Infinity .nan .NaN .NAN nan'
BOOLEANS = 'true True FALSE yes No y N on Off'
TEXTS = (
    '0b11 0B11 0o17 0O17 1_000 1_0.5 1e400 -1e400 1e-400 0x 0xg 1e e5 + --5 . 1,5 12:30 2001-01-01'
    ' .iNf +.nan -.NaN infin oN tRue ~ null \u0663 "5" \'yes\' x'
)
MORE = (
    '!!float 5',
    '>-\n 5',
    '|\n 5',
    '5 # five',
    '[010, 1]',
    '[x, 010x]',
)


def test_values_are_read_as_rcl_reads_them() -> None:
    """Each value and its type, whatever YAML or Python would make of it."""
    texts = [*' '.join((WHOLE, FRACTIONAL, NO_NUMBERS, BOOLEANS, TEXTS)).split(), *MORE]
    assert shown({text: scalar_or_list(text) for text in texts}) == shown(read_by_rcl(texts))


def read_by_rcl(texts: list[str]) -> dict[str, object]:
    """Return what a node gets for each text."""
    args = ['--ros-args']
    for index, text in enumerate(texts):
        args += ['-p', f'a{index}:={text}']
    context = Context()
    rclpy.init(args=args, context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(
            'reads', context=context, automatically_declare_parameters_from_overrides=True
        )
        values = [node.get_parameter(f'a{index}').value for index in range(len(texts))]
        node.destroy_node()
    finally:
        context.try_shutdown()
    return dict(zip(texts, values, strict=True))


def shown(values: dict[str, object]) -> dict[str, str]:
    """Return values as texts, which tell types apart, and of which nan equals nan."""
    return {
        text: repr(value.tolist() if isinstance(value, array.array) else value)
        for text, value in values.items()
    }
