# SPDX-License-Identifier: Apache-2.0
"""Logs, warns, and traces."""

import logging
import traceback
import warnings

logging.warning('not set up')
logging.getLogger('it').error('with a trace', exc_info=ValueError('told'))
warnings.warn('first')
warnings.warn('a deprecated thing', DeprecationWarning)


def works():
    warnings.warn('from the caller', stacklevel=2)
    return traceback.extract_stack()[-1].name


print(works())
try:
    1 / 0
except ZeroDivisionError:
    print(traceback.format_exc())
logging.shutdown()
