# SPDX-License-Identifier: Apache-2.0
"""What /proc shows of a process that no exec has made: its command line, one of its variables.

Both are the memory that the exec of the spawner filled (man 5 proc_pid_cmdline, proc_pid_environ),
so it is written over. Whoever looks for the processes of an execution finds a warm script by its
mark then, as every other one.
"""

from collections.abc import Sequence
import ctypes
import os

_libc = ctypes.CDLL(None)
_libc.getenv.argtypes = (ctypes.c_char_p,)
_libc.getenv.restype = ctypes.c_void_p
# Fields of /proc/self/stat behind the name, counted from the state (man 5 proc_pid_stat).
_ARGUMENTS_BEGIN, _ARGUMENTS_END, _ENVIRONMENT_BEGIN, _ENVIRONMENT_END = 45, 46, 47, 48


class ShownProcess:
    """Made in the spawner, before anything changes the variable."""

    def __init__(self, variable: str) -> None:
        """Take the variable that marks a process: what it is at first is the room for others."""
        with open('/proc/self/stat', 'rb') as file:
            fields = file.read().rpartition(b')')[2].split()
        self._arguments = int(fields[_ARGUMENTS_BEGIN])
        self._arguments_room = int(fields[_ARGUMENTS_END]) - self._arguments
        self._mark_room = len(os.fsencode(os.environ.get(variable, '')))
        found = _libc.getenv(os.fsencode(variable)) or 0
        begin, end = int(fields[_ENVIRONMENT_BEGIN]), int(fields[_ENVIRONMENT_END])
        self._mark = found if begin <= found < end else None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the program began, before any Python ran."""
        with open('/proc/self/environ', 'rb') as file:
            pairs = (os.fsdecode(each).partition('=') for each in file.read().split(b'\0'))
            return {name: value for name, equals, value in pairs if equals}

    def show_command(self, argv: Sequence[str]) -> None:
        """Have the command line shown, as far as there is room."""
        line = b''.join(os.fsencode(argument) + b'\0' for argument in argv)
        self._write(self._arguments, line[: self._arguments_room - 1], self._arguments_room)

    def show_mark(self, value: str) -> None:
        """Have the variable shown with this value.

        Raises:
            ValueError: there is no room for it.
        """
        content = os.fsencode(value)
        if self._mark is None or len(content) > self._mark_room:
            raise ValueError(f'there is no room to mark this process as {value!r}')
        self._write(self._mark, content, self._mark_room)

    def _write(self, address: int, content: bytes, room: int) -> None:
        ctypes.memmove(address, content.ljust(room, b'\0'), room)
