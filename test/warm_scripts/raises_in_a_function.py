# SPDX-License-Identifier: Apache-2.0
"""Ends by an exception that nobody catches, with a cause."""


def inner(depth):
    if depth:
        return inner(depth - 1)
    raise KeyError('deep')


def outer():
    try:
        inner(3)
    except KeyError as error:
        raise RuntimeError('why') from error


print('before')
outer()
