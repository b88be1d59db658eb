# SPDX-License-Identifier: Apache-2.0
"""The bash program that sources set-up files, and what its report means; starts nothing.

A file whose last command is false has exported what it exports: that is told and taken. A file
that cannot be read, or parsed, or that ends the shell has not been sourced.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import re

from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.process.command_line import GATEWAYS_OWN, Interpreters
from gateway_node.process.environment import SHELLS_OWN

SOURCE_TIMEOUT_SEC = 30.0
PROBED_MODULES = ('launch', 'rclpy')

_REPORT, _PROBE, _CAPTURE = 'report', 'probe', 'environment'
_WITHOUT_MARK = 'setup_file'
_STDERR_TAIL = 2000
_OURS = re.compile(r'(BASH_FUNC_)?__gateway_')
"""Exported all the same where a file leaves `set -a`."""

# It runs beside what the files do: its names begin with __gateway_, a file finds no positional
# parameters, and options that a file leaves (set -e, noclobber) do it no harm.
PROGRAM = r"""
__gateway_folder=$1 __gateway_ask=$2
shift 2
__gateway_files=("$@")
__gateway_failed=
trap '__gateway_line=$LINENO
  if [[ $- == *e* ]]; then
    __gateway_failed=${BASH_SOURCE:+$BASH_COMMAND ($BASH_SOURCE, line $__gateway_line)}
    : "${__gateway_failed:=its last command}"
  fi' ERR
trap 'builtin printf "%s\0" ended "$?" "$__gateway_failed" >> "$__gateway_folder/report"' EXIT
__gateway_refuse() {
  trap - EXIT ERR
  builtin printf '%s\0' refused "$1" >> "$__gateway_folder/report"
  builtin exit 1
}
for __gateway_file in "${__gateway_files[@]}"; do
  if ! __gateway_fault=$({ : < "$__gateway_file"; } 2>&1); then
    __gateway_refuse "it cannot be read: ${__gateway_fault#*"$__gateway_file": }"
  elif [[ -d $__gateway_file ]]; then
    __gateway_refuse 'it is a directory'
  fi
  __gateway_source=$__gateway_file
  LC_ALL=C IFS= read -r -n 3 __gateway_mark < "$__gateway_file" || :
  if [[ $__gateway_mark == $'\xef\xbb\xbf' ]]; then
    __gateway_source=$__gateway_folder/setup_file
    tail -c +4 "$__gateway_file" >| "$__gateway_source" ||
      __gateway_refuse 'its copy without the byte order mark cannot be written'
    builtin printf '%s\0' marked >> "$__gateway_folder/report"
  fi
  set --
  . "$__gateway_source"
  __gateway_status=$?
  # Aliases and globs that the file itself switches on are unknown to a shell that only parses.
  if ((__gateway_status)) && ! /bin/bash -n "$__gateway_source" 2> /dev/null &&
    ! /bin/bash -O extglob -n "$__gateway_source" 2> /dev/null; then
    __gateway_refuse 'it has a syntax error'
  fi
  builtin printf '%s\0' returned "$__gateway_status" >> "$__gateway_folder/report"
done
trap - EXIT ERR
python3 -c "$__gateway_ask" >| "$__gateway_folder/probe" || : >| "$__gateway_folder/probe"
exec /usr/bin/env -0 >| "$__gateway_folder/environment"
"""
_ASK = (
    'import importlib.util, json, sys\n'
    f'specs = [importlib.util.find_spec(name) for name in {PROBED_MODULES!r}]\n'
    'found = [spec.name for spec in specs if spec and spec.origin]\n'
    'print(json.dumps([sys.executable, "%d.%d" % sys.version_info[:2], found]))\n'
)


@dataclass(frozen=True, kw_only=True)
class ScriptWorld:
    """What was found when the set-up files were sourced."""

    variables: Mapping[str, str]
    interpreters: Interpreters
    modules: frozenset[str]
    """Of those that matter to the gateway, the ones that the environment's Python finds."""
    warnings: tuple[str, ...] = ()
    """What the set-up files did not do well, although they were sourced."""


def arguments(folder: Path, setup_files: Sequence[Path]) -> list[str]:
    """Return the command line that sources the files, in order, and reports into the folder."""
    return [
        *('/bin/bash', '--noprofile', '--norc', '-c', PROGRAM, 'bash'),
        *(str(folder), _ASK, *map(str, setup_files)),
    ]


def clear(folder: Path) -> None:
    """Remove what the program writes."""
    for name in (_REPORT, _PROBE, _CAPTURE, _WITHOUT_MARK):
        (folder / name).unlink(missing_ok=True)


def world_of(
    folder: Path, setup_files: Sequence[Path], outcome: Outcome, stderr: str
) -> ScriptWorld:
    """Return what the program found.

    Raises:
        SpawnFailed: a file was not sourced; the message names it and says why.
        OSError: what the program wrote cannot be read.
    """
    tail = stderr.strip()[-_STDERR_TAIL:]
    told = f'; stderr: {tail}' if tail else ''
    report = folder / _REPORT
    fields = iter(report.read_text(errors='replace').split('\0') if report.exists() else ())
    statuses, marked, trouble = _read(fields)
    if outcome.cause is EndCause.TIMED_OUT:
        trouble = f'it takes longer than {SOURCE_TIMEOUT_SEC:g} s'
    complete = len(statuses) == len(setup_files)
    if trouble is None and not complete:
        trouble = f'it ended the shell, as by exec: {outcome.message}'
    if trouble is not None:
        which = 'the set-up files' if complete else setup_files[len(statuses)]
        raise SpawnFailed(f'{which} cannot be sourced: {trouble}{told}')
    if outcome.exit_code != 0:
        raise SpawnFailed(f'the sourced environment cannot be read: {outcome.message}{told}')
    interpreters, modules = _probed(folder / _PROBE)
    return ScriptWorld(
        variables=parse_capture((folder / _CAPTURE).read_bytes()),
        interpreters=interpreters,
        modules=modules,
        warnings=(
            *(
                f'{setup_files[index]} begins with a byte order mark: a copy without it was '
                'sourced, and BASH_SOURCE in it is the path of the copy'
                for index in marked
            ),
            *(
                f'{file} was sourced, but its last command returned {status}{told}'
                for file, status in zip(setup_files, statuses, strict=True)
                if status != '0'
            ),
        ),
    )


def parse_capture(content: bytes) -> dict[str, str]:
    """Return the variables of an `env -0`, without what is the shell's own."""
    pairs = (os.fsdecode(line).partition('=') for line in content.split(b'\0') if line)
    return {
        name: value
        for name, equals, value in pairs
        if equals and name not in SHELLS_OWN and not _OURS.match(name)
    }


def _read(fields: Iterator[str]) -> tuple[list[str], list[int], str | None]:
    """Return the statuses of the files that were sourced, which of them were copies, and what is
    wrong with the next one."""
    statuses: list[str] = []
    marked: list[int] = []
    for field in fields:
        match field:
            case 'marked':
                marked.append(len(statuses))
            case 'returned':
                statuses.append(next(fields, ''))
            case 'refused':
                return statuses, marked, next(fields, '')
            case 'ended':
                status, failed = next(fields, ''), next(fields, '')
                how = f'under "set -e" this failed: {failed}' if failed else 'as by exit'
                return statuses, marked, f'it ended the shell with status {status}, {how}'
    return statuses, marked, None


def _probed(probe: Path) -> tuple[Interpreters, frozenset[str]]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        match json.loads(probe.read_bytes()):
            case [str(python), str(version), list(found)] if python:
                modules = frozenset(name for name in PROBED_MODULES if name in found)
                return Interpreters(python=python, python_version=version), modules
    # No Python on the sourced PATH, or something that only bears its name: the gateway's own will
    # do.
    return GATEWAYS_OWN, frozenset()
