# SPDX-License-Identifier: Apache-2.0
"""How the process of a warm script ends: as a cold one, without what only the spawner needs.

Exit handlers of C that were there before the fork never run: those of lttng-ust cancel threads
that the fork did not copy, where other threads may be by now, and crash. Those that come later, of
libraries that the script loads, run as always.

What was loaded before the fork is not taken apart where nothing of it can be at work any more:
that takes longer than most scripts do.
"""

import atexit
from collections.abc import Callable, Collection
import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
from typing import NoReturn

_libc = ctypes.CDLL(None)
_LAST_ERROR = ('last_exc', 'last_type', 'last_value', 'last_traceback')


class _LoadedLibrary(ctypes.Structure):
    """`struct dl_phdr_info` (man 3 dl_iterate_phdr)."""

    _fields_ = (
        ('address', ctypes.c_size_t),
        ('name', ctypes.c_char_p),
        ('headers', ctypes.c_void_p),
        ('header_count', ctypes.c_uint16),
        ('loads', ctypes.c_ulonglong),
        ('unloads', ctypes.c_ulonglong),
    )


_End = Callable[[int], object]
_Visitor = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(_LoadedLibrary), ctypes.c_size_t, ctypes.c_void_p
)


class WarmExit:
    """Made once all is loaded that scripts are to find loaded."""

    def __init__(self, idle_threads: Collection[str]) -> None:
        """`idle_threads` are the names of threads that stay when all work of ROS has ended."""
        self._idle_threads = frozenset(idle_threads)
        self._modules = frozenset(sys.modules)
        self._library_loads = _library_loads()

    def take_over(self) -> None:
        """Have this process, a script's from now on, end like one, whoever ends it."""
        _skip_older_handlers()

    def leave(self, status: int, *, interrupted: bool = False) -> NoReturn:
        """End the interpreter and the process; called where the script's own frames are gone.

        Interrupted it dies of SIGINT, as Python does where nobody caught a KeyboardInterrupt.
        """
        end: _End = ctypes.pythonapi.Py_Exit
        # Python copes with what may be raised here: by handlers of signals, by descriptors of
        # which the script has left none, by what it did to `sys`.
        with contextlib.suppress(BaseException):
            end = self._make_short(end)
        if interrupted:
            # Handlers are given the status, and `raise` a number.
            status = signal.SIGINT
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _libc.on_exit(_libc['raise'], None)
        end(status)
        raise AssertionError('exit returns never')

    def _make_short(self, end: _End) -> _End:
        """Return what ends the process where nothing can be at work any more, or else `end`."""
        if not self._is_quiet():
            return end
        vars(threading)['_shutdown']()
        atexit._run_exitfuncs()
        if not self._is_quiet() or not _flush():
            return end
        self._let_go_of_script()
        if _library_loads() == self._library_loads:
            _skip_older_handlers()
        return _libc.exit

    def _is_quiet(self) -> bool:
        """Tell whether this thread is the only one that can be at work.

        Threads of C have the names of the process or their own, those of Python have frames.
        """
        return len(sys._current_frames()) == 1 and _thread_names() <= self._idle_threads

    def _let_go_of_script(self) -> None:
        """Have the objects end that only the script's modules hold."""
        for name in _LAST_ERROR:
            vars(sys).pop(name, None)
        for name in [name for name in sys.modules if name not in self._modules]:
            del sys.modules[name]
        sys.modules.pop('__main__', None)
        gc.collect()
        _flush()


def _flush() -> bool:
    """Flush what Python prints to; return False where it has to tell of a failure itself."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:
            return False
    return True


def _skip_older_handlers() -> None:
    """Have no exit handler of C run that was registered before this call.

    All of stdio is flushed then (man 3 fcloseall), and the process ends with its status.
    """
    _libc.on_exit(_libc._exit, None)
    _libc.on_exit(_libc.fcloseall, None)


def _thread_names() -> frozenset[str]:
    """Return the names of this process's threads other than the first."""
    own = str(os.getpid())
    names = set()
    for thread in os.listdir('/proc/self/task'):
        if thread != own:
            # Where it ends at this moment it has no name.
            with contextlib.suppress(OSError), open(f'/proc/self/task/{thread}/comm') as file:
                names.add(file.read().rstrip('\n'))
    return frozenset(names)


def _library_loads() -> int:
    """Return how many shared libraries this process has ever loaded."""
    loads: list[int] = []

    def visit(library: 'ctypes._Pointer[_LoadedLibrary]', size: int, data: object) -> int:
        loads.append(library.contents.loads)
        return 1

    _libc.dl_iterate_phdr(_Visitor(visit), None)
    return loads[0]
