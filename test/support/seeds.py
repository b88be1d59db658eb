# SPDX-License-Identifier: Apache-2.0
"""Secrets that a gateway was given or made, and where they are found again.

grep looks for thousands at once, and the secrets stand in a file, not on its command line.
"""

from pathlib import Path
import subprocess
import threading


class Seeds:
    """What must be found nowhere but below a folder of the test's own."""

    def __init__(self, private: Path) -> None:
        private.mkdir()
        self.private = private
        """Whatever is in here is not searched."""
        self._file = private / 'seeds'
        self._file.touch()
        self._turn = threading.Lock()

    def add(self, *secrets: str) -> None:
        """Look for these from now on."""
        with self._turn, self._file.open('a', encoding='utf-8') as file:
            file.writelines(f'{secret}\n' for secret in secrets)

    def found_below(self, folder: Path) -> list[str]:
        """Return the files below a folder that have a secret."""
        return self._grep('--recursive', f'--exclude-dir={self.private.name}', str(folder))

    def found_in_processes(self) -> list[str]:
        """Return the command lines and environments that have a secret."""
        processes = [each for each in Path('/proc').iterdir() if each.name.isdecimal()]
        shown = [str(each / name) for each in processes for name in ('cmdline', 'environ')]
        return self._grep(*shown)

    def _grep(self, *where: str) -> list[str]:
        options = ('--no-messages', '--files-with-matches', '--text', '--fixed-strings')
        grep = subprocess.run(
            ['grep', *options, f'--file={self._file}', *where],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        # 2: a process, or a journal, was gone before it was read; what was found is told.
        assert grep.returncode in (0, 1, 2)
        return grep.stdout.splitlines()
