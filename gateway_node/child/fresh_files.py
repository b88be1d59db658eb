"""Files of the supervisor's own beside a script that may have put anything in their places."""

import contextlib
import os


def open_fresh(path: str) -> int:
    """Return a descriptor of a new file, for writing, in place of whatever is there.

    A pipe that a script put there would never come to be open, a link lead elsewhere.

    Raises:
        OSError: it cannot be made, or a directory is in its place.
    """
    with contextlib.suppress(OSError):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)
