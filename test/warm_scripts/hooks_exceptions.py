# SPDX-License-Identifier: Apache-2.0
"""Has hooks of its own for what nobody catches."""

import sys
import threading


def tells(kind, value, traceback):
    print('hooked', kind.__name__, value, traceback.tb_frame.f_code.co_name, traceback.tb_next)
    print('last', sys.last_type.__name__, sys.last_value is value, sys.last_traceback is traceback)


threading.excepthook = lambda told: print('thread', told.exc_type.__name__)
failing = threading.Thread(target=lambda: 1 / 0)
failing.start()
failing.join()
sys.excepthook = tells
raise LookupError('hook me')
