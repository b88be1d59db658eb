# SPDX-License-Identifier: Apache-2.0
"""Tells all that a new interpreter has about it."""

import atexit
import builtins
import gc
import locale
import os
import resource
import signal
import sys
import threading

MAIN = sys.modules['__main__']
# Names of frames of the gateway's own, and the numbers of their processes, differ.
MARK = 'GATEWAY_EXECUTION_ID'
for name in sorted(vars(MAIN)):
    if name.startswith('__'):
        value = vars(MAIN)[name]
        kept = value if isinstance(value, (str, type(None), dict)) else type(value)
        print(name, getattr(value, '__name__', kept))
print('loader', MAIN.__loader__.name, MAIN.__loader__.path)
print('argv', sys.argv, sys.orig_argv, sys.executable, sys.prefix)
print('path', sys.path)
print('flags', sys.flags, sys.warnoptions, sys._xoptions, sys.dont_write_bytecode)
print('cwd', os.getcwd() == os.environ['PWD'], oct(os.umask(0o22)), os.listdir('.'))
print('environment', sorted(os.environ))
print('same', [name for name in os.environ if os.getenv(name) != os.environ[name]])
with open('/proc/self/environ', 'rb') as file:
    print('mark', os.fsencode(f'{MARK}={os.environ[MARK]}') in file.read().split(b'\0'))
with open('/proc/self/cmdline', 'rb') as file:
    print('command line', file.read().rstrip(b'\0').split(b'\0'))
with open('/proc/self/comm') as file:
    print('name', file.read())
with open('/proc/self/oom_score_adj') as file:
    print('score', file.read())
descriptors = [
    each for each in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{each}')
]
print('descriptors', sorted(descriptors))
print('first free', os.dup(0))
print('session', os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())
print(
    'handlers',
    {int(each): str(signal.getsignal(each)).split(' at ')[0] for each in signal.valid_signals()},
)
print('mask', signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.set_wakeup_fd(-1))
with open('/proc/self/status') as file:
    # Without those of the C library, which are above 31.
    status = dict(line.split(':\t') for line in file)
    for each in ('SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt'):
        print(each, hex(int(status[each], 16) & 0x7FFF_FFFF))
    print('kernel', status['Threads'], status['NoNewPrivs'])
print('limits', [resource.getrlimit(each) for each in range(16)])
print('priority', os.nice(0), os.sched_getaffinity(0), os.sched_getscheduler(0))
print('timers', signal.getitimer(signal.ITIMER_REAL))
print('threads', threading.active_count(), threading.current_thread().name)
print('first', threading.main_thread() is threading.current_thread())
print('its number', threading.main_thread().native_id == os.getpid())
print(
    'recursion', sys.getrecursionlimit(), sys.getswitchinterval(), sys.gettrace(), sys.getprofile()
)
print('collector', gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks)
print('hooks', sys.excepthook, sys.displayhook, sys.unraisablehook)
print('errors', sys.exc_info(), hasattr(sys, 'last_value'))
print(
    'encodings',
    sys.getfilesystemencoding(),
    sys.getdefaultencoding(),
    locale.setlocale(locale.LC_CTYPE),
)
for name in ('stdin', 'stdout', 'stderr'):
    stream = getattr(sys, name)
    print(name, stream is getattr(sys, f'__{name}__'), stream.name, stream.mode, stream.encoding)
    print(name, stream.errors, stream.newlines, stream.line_buffering, stream.write_through)
    print(
        name,
        stream.seekable(),
        stream.isatty(),
        stream.fileno(),
        stream.closed,
        type(stream.buffer),
    )
print('builtins', '_' in vars(builtins), sorted(vars(builtins)))
print('stdin', repr(sys.stdin.read()), sys.stdin.read())
print('handlers at the exit', bool(atexit))
