# SPDX-License-Identifier: Apache-2.0
"""Makes of a forked process what a new interpreter is that has a script to run, and runs it.

The source is read by the same part of Python's C API as `python3 file` reads it, which says the
same of what is wrong with it. No frame of this module shows in tracebacks.
"""

from collections.abc import Mapping, Sequence
import contextlib
import ctypes
from importlib.machinery import SourceFileLoader
import io
import os
import signal
import sys
import threading
from types import ModuleType
from typing import Any, NoReturn
import zipimport

from gateway_node.child.contract import SAFE_PATH
from gateway_node.child.warm.exit import WarmExit

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_libc.fopen.restype = ctypes.c_void_p
_FILE_INPUT = 257
"""`Py_file_input` of Python's C API."""
_run_file = ctypes.pythonapi.PyRun_FileExFlags
_run_file.restype = ctypes.py_object
_run_file.argtypes = (
    *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int),
    *(ctypes.py_object, ctypes.py_object),
    *(ctypes.c_int, ctypes.c_void_p),
)


class CommandLine:
    """`python3 [-P] file argument…`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.whole = list(argv)
        self.safe_path = argv[1] == SAFE_PATH
        self.script = argv[2] if self.safe_path else argv[1]
        self.argv = self.whole[2:] if self.safe_path else self.whole[1:]
        """As the script finds it in `sys.argv`."""

    @property
    def folder(self) -> str:
        """Where modules are looked for first, unless the path is safe."""
        return os.path.dirname(os.path.realpath(self.script))


def can_be_warm(command: CommandLine) -> bool:
    """Tell whether the script would find here what a new interpreter finds.

    Not where it is a zip file, which Python takes for an application, nor where its folder has
    modules of the same names as loaded ones, or does not tell. Where a mount does not answer, it
    hangs.
    """
    try:
        zipimport.zipimporter(command.script)
    except zipimport.ZipImportError:
        pass
    else:
        return False
    if command.safe_path:
        return True
    try:
        neighbours = {name.partition('.')[0] for name in os.listdir(command.folder)}
    except OSError:
        return False
    return neighbours.isdisjoint(name.partition('.')[0] for name in sys.modules)


def reset_interpreter(command: CommandLine, environment: Mapping[str, str]) -> None:
    """Have this interpreter look as if it had just begun; descriptors 0 to 2 are the script's."""
    _reset_signals()
    _take_environment(environment)
    # A fork leaves it the number of the spawner's.
    vars(threading.Thread)['_set_native_id'](threading.main_thread())
    _look_anew_for_folders()
    sys.argv[:] = command.argv
    sys.orig_argv[:] = command.whole
    if not command.safe_path:
        sys.path.insert(0, command.folder)
    _open_streams()
    _seed_anew()
    sys.modules['__main__'] = _main_module(command.script)


def run(command: CommandLine, warm_exit: WarmExit) -> NoReturn:
    """Run the script as `__main__`, to the end of the process."""
    path = os.fsencode(command.script)
    file = _libc.fopen(path, b'rbe')
    if file is None:
        number = ctypes.get_errno()
        reason = f'[Errno {number}] {os.strerror(number)}'
        _say(f"{sys.executable}: can't open file {command.script!r}: {reason}")
        warm_exit.leave(2)
    uncaught = _run_to_its_end(file, path)
    interrupted = type(uncaught) is KeyboardInterrupt
    status = 0 if uncaught is None else _report(uncaught)
    del uncaught
    warm_exit.leave(status, interrupted=interrupted)


def _run_to_its_end(file: int, path: bytes) -> BaseException | None:
    """Return what nobody caught, without the frame of this function."""
    names = vars(sys.modules['__main__'])
    try:
        _run_file(file, path, _FILE_INPUT, names, names, True, None)
    except BaseException as error:
        return _without_first_frame(error)
    return None


def _without_first_frame(error: BaseException) -> BaseException:
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def _report(error: BaseException) -> int:
    """Tell what nobody caught; return the exit status."""
    if isinstance(error, SystemExit):
        return _status_of(error)
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as hooks:
        return _status_of(hooks)
    except BaseException as hooks:
        _say('Error in sys.excepthook:')
        _display(_without_first_frame(hooks))
        _say('\nOriginal exception was:')
        _display(error)
    return 1


def _status_of(error: SystemExit) -> int:
    """Return the exit status; what is no number is printed."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        # What is no long of C is -1 then.
        return error.code & 0xFF if error.code.bit_length() < 64 else 0xFF
    _say(error.code)
    return 1


def _display(error: BaseException) -> None:
    sys.__excepthook__(type(error), error, error.__traceback__)


def _say(what: object) -> None:
    """Print a line on stderr; that this cannot be done is told by nobody, as in Python."""
    for part in (what, '\n'):
        with contextlib.suppress(Exception):
            print(part, end='', file=sys.stderr or sys.__stderr__)


def _reset_signals() -> None:
    """Handle signals as Python does at its start; all are the system's own affair before."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_environment(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _look_anew_for_folders() -> None:
    """Forget which folders of the path did not exist: one may have been made since."""
    for name, finder in list(sys.path_importer_cache.items()):
        if finder is None:
            del sys.path_importer_cache[name]


def _open_streams() -> None:
    """Open standard streams as Python does where PYTHONUNBUFFERED is set, as it always is."""
    for name, descriptor, mode in (('stdin', 0, 'r'), ('stdout', 1, 'w'), ('stderr', 2, 'w')):
        before = getattr(sys, name)
        raw: Any = io.FileIO(descriptor, mode, closefd=False)
        raw.name = before.name
        stream: Any = io.TextIOWrapper(
            io.BufferedReader(raw) if mode == 'r' else raw,
            encoding=before.encoding,
            errors=before.errors,
            newline='\n',
            write_through=True,
        )
        stream.mode = mode
        vars(sys).update({name: stream, f'__{name}__': stream})


def _seed_anew() -> None:
    """Give each script randomness of its own where a loaded module does not see to that."""
    numpy_random = sys.modules.get('numpy.random')
    if numpy_random is not None:
        numpy_random.seed()
    processes = sys.modules.get('multiprocessing.process')
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)


def _main_module(path: str) -> ModuleType:
    module = ModuleType('__main__')
    module.__file__ = path
    module.__loader__ = SourceFileLoader('__main__', path)
    vars(module).update(__builtins__=sys.modules['builtins'], __cached__=None)
    if '__annotations__' in vars(sys.modules['__main__']):
        # Before Python 3.14.
        module.__annotations__ = {}
    return module
