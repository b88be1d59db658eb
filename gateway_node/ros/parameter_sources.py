# SPDX-License-Identifier: Apache-2.0
"""Where the user's parameters come from, and which source wins; knows nothing of rclpy.

rcl goes by the order in which the names of sections come up first, so that a file that begins with
`/**` wins over everything that is said for `/**` later, `-p` included; and a whole number stays
where a fractional one is given after it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import itertools
from pathlib import Path
import stat

import yaml

from gateway_node.ros.parameter_files import (
    lacks_section,
    mode_of,
    read_parameter_file,
    scalar_or_list,
    Section,
)

_ANY_NODE = '/**'


@dataclass(frozen=True, kw_only=True)
class ParameterFile:
    """A file that was given, and what is in it."""

    path: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, kw_only=True)
class ParameterSources:
    """All that the command line gives, in its order."""

    files: tuple[ParameterFile, ...]
    arguments: tuple[Section, ...]
    """Of each `-p`."""

    @classmethod
    def read(cls, args: Sequence[str]) -> 'ParameterSources':
        """Read what ROS's arguments name; ParameterFileInvalid.

        What rcl will refuse by itself is left out, and so are pipes, which can be read only once,
        and devices, such as /dev/null.
        """
        files: list[ParameterFile] = []
        arguments: list[Section] = []
        for option, value in _options(args):
            if option in ('-p', '--param'):
                arguments += _argument(value)
            elif option == '--params-file':
                path = Path(value)
                mode = mode_of(path)
                if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
                    files.append(ParameterFile(path=value, sections=read_parameter_file(path)))
        return cls(files=tuple(files), arguments=tuple(arguments))

    def decided(self, node: str) -> dict[str, object]:
        """Return the value that wins for each parameter that `node` is given more than once.

        `-p` goes before files, then the section whose name says more, then what comes later.
        """
        given = defaultdict(list)
        for is_argument, section in self._sections():
            if section.concerns(node):
                rank = (is_argument, section.exactness)
                for name, value in section.values.items():
                    given[name].append((rank, value))
        # max() returns the first of equals.
        return {
            name: max(reversed(values), key=lambda each: each[0])[1]
            for name, values in given.items()
            if len(values) > 1
        }

    def warnings(self, node: str) -> Iterator[str]:
        """Yield a sentence for each file that has nothing for `node`."""
        for file in self.files:
            if not any(section.concerns(node) for section in file.sections):
                yield f'parameter file {file.path!r} {lacks_section(file.sections, node)}'

    def _sections(self) -> Iterator[tuple[bool, Section]]:
        for file in self.files:
            for section in file.sections:
                yield False, section
        for section in self.arguments:
            yield True, section


def _options(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each of ROS's arguments with the one after it."""
    of_ros = False
    for argument, following in itertools.pairwise(args):
        if argument == '--ros-args':
            of_ros = True
        elif argument == '--':
            of_ros = False
        elif of_ros:
            yield argument, following


def _argument(rule: str) -> Iterator[Section]:
    """Yield the section that `[node:]name:=value` stands for; nothing where it is malformed."""
    target, assigned, text = rule.partition(':=')
    node, _, name = target.rpartition(':')
    try:
        value = scalar_or_list(text)
    except (yaml.YAMLError, RecursionError):
        return
    if assigned:
        yield Section(node=f'/{node}' if node else _ANY_NODE, values={name: value})
