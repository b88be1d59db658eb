# SPDX-License-Identifier: Apache-2.0
"""Has objects that fail when they go."""


class Failing:
    """Fails when it goes."""

    def __del__(self):
        raise OSError('as it goes')


print('one goes now', Failing() is None)
print('end of the module')
