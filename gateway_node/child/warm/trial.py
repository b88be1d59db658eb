# SPDX-License-Identifier: Apache-2.0
"""Finds out whether scripts can be forked here from a process that has their modules loaded.

Run as a program, with the names of modules: imports them, and makes and destroys a node in a fork,
which hangs or crashes where the rmw does not survive that. What the node loaded is loaded too, and
the next fork, which finds all loaded, has to do it again. The result is a `messages.WarmTrial`.
"""

import json
import os
import sys
from typing import TypedDict

import gateway_node
from gateway_node.child.messages import Loaded, WarmTrial
from gateway_node.child.script.script_api import result
from gateway_node.child.warm.loading import import_all, load_libraries, ModuleFails

_NODE_NAME = '_gateway_warm_trial'
"""Hidden, by its first letter."""
_ROUNDS = 2


class _Findings(TypedDict):
    """What there is after a node was made and destroyed, and was not before."""

    modules: list[str]
    libraries: list[str]
    threads: list[str]


class _TrialFailed(Exception):
    """A fork did not come through."""


def main() -> None:
    """Give the result."""
    try:
        result(WarmTrial(loaded=_try(sys.argv[1:])))
    except (_TrialFailed, ModuleFails) as error:
        result(WarmTrial(failed=str(error)))


def _try(names: list[str]) -> Loaded:
    modules = import_all(names)
    libraries: list[str] = []
    threads: list[str] = []
    for _ in range(_ROUNDS):
        found = _findings_of_fork()
        modules += import_all(found['modules'])
        missing = sorted(set(found['libraries']) - _mapped_libraries())
        load_libraries(missing)
        libraries += missing
        threads = found['threads']
    return Loaded(
        package=os.path.dirname(os.path.realpath(gateway_node.__file__ or '')),
        modules=modules,
        libraries=libraries,
        idle_threads=threads,
        files={path: list(stamp) for path, stamp in _stamps().items()},
    )


def _findings_of_fork() -> _Findings:
    """Fork, and make and destroy a node there if rclpy is loaded.

    Raises:
        _TrialFailed: the fork crashed, or no node could be made.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _look_after_a_node(writing)
    os.close(writing)
    with os.fdopen(reading, 'rb') as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status != 0 or not told:
        code = os.waitstatus_to_exitcode(status)
        how = f'died of signal {-code}' if code < 0 else f'exited with {code}'
        raise _TrialFailed(f'a fork of what has their modules loaded {how}')
    found: _Findings = json.loads(told)
    return found


def _look_after_a_node(report: int) -> None:
    status = 1
    try:
        modules, libraries = list(sys.modules), _mapped_libraries()
        if 'rclpy' in sys.modules:
            _make_and_destroy_node()
        findings = _Findings(
            modules=[name for name in sys.modules if name not in modules],
            libraries=sorted(_mapped_libraries() - libraries),
            threads=_thread_names(),
        )
        with os.fdopen(report, 'wb') as pipe:
            pipe.write(json.dumps(findings).encode())
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(status)


def _make_and_destroy_node() -> None:
    import rclpy

    rclpy.init(args=[])
    node = rclpy.create_node(_NODE_NAME)
    node.destroy_node()
    rclpy.shutdown()


def _thread_names() -> list[str]:
    names = set()
    for thread in os.listdir('/proc/self/task'):
        if thread != str(os.getpid()):
            with open(f'/proc/self/task/{thread}/comm') as file:
                names.add(file.read().rstrip('\n'))
    return sorted(names)


def _mapped_libraries() -> set[str]:
    with open('/proc/self/maps') as file:
        paths = {line.rstrip('\n').partition('/')[2] for line in file if '.so' in line}
    return {f'/{path}' for path in paths if path}


def _stamps() -> dict[str, tuple[int, int, int]]:
    files = {getattr(module, '__file__', None) for module in list(sys.modules.values())}
    stamps = {}
    for path in sorted({sys.executable, *filter(None, files), *_mapped_libraries()}):
        found = os.stat(path)
        stamps[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
    return stamps


if __name__ == '__main__':
    main()
