# SPDX-License-Identifier: Apache-2.0
"""Has three handlers, one of which fails, one of which registers another."""

import atexit
import logging
import sys
import weakref


class Thing:
    """Says when it goes."""

    def __init__(self, name):
        self.name = name

    def __del__(self):
        print('gone', self.name, flush=True)


def fails():
    raise ValueError('in a handler')


def more():
    print('first to run')
    atexit.register(print, 'registered meanwhile')


atexit.register(print, 'last to run')
atexit.register(fails)
atexit.register(more)
logging.basicConfig(stream=sys.stdout, format='%(name)s %(levelname)s %(funcName)s %(message)s')
thing = Thing('of the module')
cycle = Thing('of a cycle')
cycle.itself = cycle
finalised = Thing('finalised')
weakref.finalize(finalised, print, 'finalised by weakref')
logging.getLogger('it').warning('told')
print('end of the module')
