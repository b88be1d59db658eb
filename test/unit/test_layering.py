# SPDX-License-Identifier: Apache-2.0
"""Reads every import of the package and holds it to the rooms of the design."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import itertools
from pathlib import Path
import re
import sys

import pytest
from syntax import parsed

PACKAGE = 'gateway_node'
ROOT = Path(__file__).parents[2] / PACKAGE

CORE = ('executions', 'scripts', 'conditions', 'entities')
ABOVE_CORE = ('access', 'callbacks', 'evidence', 'triggers')
"""What stands on the core, and what the outer rooms may import too."""
OUTER = ('http_server', 'ros', 'process', 'storage')
COMMON = frozenset(
    {
        'clock',
        'inspection',
        'masking',
        'removal',
        'side_tasks',
        'strict_json',
        'threads',
        'to_the_end',
        'violations',
    }
)
"""What every room may import, for it imports the standard library only."""
ROOMS = COMMON | {
    *CORE,
    *ABOVE_CORE,
    *OUTER,
    '__main__',
    'access_room',
    'adapters',
    'before_start',
    'child',
    'client',
    'demo',
    'diagnostics',
    'document_fields',
    'evidence_room',
    'init',
    'inner_rooms',
    'triggers_room',
    'unneeded_imports',
    'assembly',
    'main',
    'manifest_files',
    'proximity_assembly',
    'reloading',
    'self_tests',
    'server_room',
    'running',
    'signals',
    'start_files',
    'surroundings',
    'script',
}

MAY_IMPORT: dict[str, frozenset[str]] = {
    'entities': frozenset({'manifest_files'}),
    'conditions': frozenset({'document_fields'}),
    'scripts': frozenset({'conditions', 'document_fields', 'entities', 'manifest_files'}),
    'executions': frozenset({'scripts', 'conditions', 'document_fields', 'entities'}),
    'access': frozenset({*CORE, 'manifest_files'}),
    'callbacks': frozenset(CORE),
    'evidence': frozenset(CORE),
    'triggers': frozenset({*CORE, 'access'}),
    'diagnostics': frozenset({'script'}),
    'document_fields': frozenset(),
    'evidence_room': frozenset({*CORE, *ABOVE_CORE, *OUTER, 'adapters'}),
    'triggers_room': frozenset({*CORE, *ABOVE_CORE, *OUTER, 'adapters'}),
    'http_server': frozenset({*CORE, *ABOVE_CORE, 'document_fields'}),
    'ros': frozenset({*CORE, *ABOVE_CORE}),
    # Both ends of the spawner's protocol: the messages are declared on the child's side.
    'process': frozenset({*CORE, 'child', 'evidence'}),
    'storage': frozenset({*CORE, *ABOVE_CORE}),
    'child': frozenset({'client'}),
    'client': frozenset(),
    'clock': frozenset(),
    'demo': frozenset(),
    'script': frozenset({'child'}),
    'init': frozenset(),
    'unneeded_imports': frozenset(),
    'before_start': frozenset(),
    'signals': frozenset({'surroundings'}),
    'start_files': frozenset({'entities', 'scripts', 'storage'}),
    'surroundings': frozenset({'before_start'}),
    'removal': frozenset(),
    'reloading': frozenset({*CORE, 'manifest_files', 'start_files'}),
    'running': frozenset(
        {
            'access',
            'access_room',
            'callbacks',
            'entities',
            'evidence',
            'executions',
            'http_server',
            'process',
            'reloading',
            'ros',
            'self_tests',
            'triggers',
        }
    ),
    'access_room': frozenset({*CORE, 'access', 'ros', 'start_files', 'storage'}),
    'adapters': frozenset({'process', 'ros', 'start_files', 'storage'}),
    'assembly': frozenset(
        {
            *CORE,
            *ABOVE_CORE,
            *OUTER,
            'access_room',
            'adapters',
            'evidence_room',
            'inner_rooms',
            'proximity_assembly',
            'running',
            'self_tests',
            'server_room',
            'triggers_room',
        }
    ),
    'self_tests': frozenset(CORE),
    'server_room': frozenset({'http_server', 'ros', 'start_files'}),
    'inner_rooms': frozenset(
        {*CORE, *ABOVE_CORE, 'adapters', 'reloading', 'ros', 'start_files', 'storage'}
    ),
    'main': frozenset(
        {
            *CORE,
            *OUTER,
            'access',
            'assembly',
            'before_start',
            'manifest_files',
            'signals',
            'start_files',
        }
    ),
    'manifest_files': frozenset(),
    'masking': frozenset(),
    'proximity_assembly': frozenset({*CORE, 'access', 'ros'}),
    'inspection': frozenset(),
    '__main__': frozenset({'before_start', 'init', 'unneeded_imports', 'main', 'surroundings'}),
    'side_tasks': frozenset(),
    'strict_json': frozenset(),
    'threads': frozenset(),
    'to_the_end': frozenset(),
    'violations': frozenset(),
}
"""Which rooms of the package a room may import, beside itself."""

ONLY_IN: dict[str, frozenset[str]] = {
    'aiohttp': frozenset({'callbacks', 'http_server'}),
    'aiohttp.web': frozenset({'http_server'}),
    'rclpy': frozenset({'ros', 'child', 'demo', 'diagnostics'}),
    'launch': frozenset({'child'}),
    'launch_ros': frozenset({'child'}),
    'diagnostic_msgs': frozenset({'ros', 'diagnostics'}),
    'rcl_interfaces': frozenset({'ros'}),
    'sqlite3': frozenset({'storage'}),
    'subprocess': frozenset({'process', 'child', 'demo'}),
    'multiprocessing': frozenset(),
    'jsonschema': frozenset({'child', 'scripts'}),
    'jwt': frozenset({'access'}),
    'cryptography': frozenset({'access'}),
}
"""Libraries, and parts of them, that belong to some rooms; a name covers what is below it."""

STARTERS = frozenset(
    {
        'asyncio.create_subprocess_exec',
        'asyncio.create_subprocess_shell',
        'os.fork',
        'os.forkpty',
        'os.popen',
        'os.posix_spawn',
        'os.posix_spawnp',
        'os.system',
        'pty.fork',
        'pty.spawn',
        *(f'os.exec{how}' for how in ('l', 'le', 'lp', 'lpe', 'v', 've', 'vp', 'vpe')),
        *(f'os.spawn{how}' for how in ('l', 'le', 'lp', 'lpe', 'v', 've', 'vp', 'vpe')),
    }
)
"""What starts a process, or becomes another one, without importing `subprocess`."""
MAY_START = frozenset({'process', 'child', 'demo', 'init', 'surroundings'})

MAY_USE_THE_POOL = {
    'adapters': 'the state directory, which nothing works without',
    'demo.__main__': 'a request with a deadline of its own',
    'http_server.output': 'CPU only',
    'http_server.reading': 'CPU only',
    'http_server.uploads': "CPU, and the package's own files",
    'process.artifact_files': 'the state directory',
    'process.recovery': 'the state directory',
    'process.internal_programs': 'the state directory',
    'process.runner': 'the state directory',
    'process.script_outputs': 'the state directory',
    'process.supervised_process': 'the state directory, and CPU',
    'process.supervisor_pool': 'the state directory',
    'process.supervisors': 'the state directory',
    'storage.database': 'the state directory',
    'triggers.instance_service': "CPU, and the package's own files",
}
"""Modules that call in asyncio's own pool, and what: the end of the process waits for its threads.
What lies anywhere else may hang for ever and gets `threads.Threads`."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported name, absolute: `aiohttp.web.Request`."""

    name: str
    line: int


def room_of(module: str) -> str:
    """Return the room of a module of the package: `gateway_node.ros.node` is in `ros`."""
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else ''


def imports(tree: ast.AST, module: str) -> Iterator[Import]:
    """Go through every import of a module, wherever it stands, relative ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name=alias.name, line=node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = module.split('.')[: -node.level] if node.level else []
            origin = '.'.join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(name=f'{origin}.{alias.name}', line=node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            '__import__',
            'import_module',
            'importlib.import_module',
        ):
            (name, *_) = node.args
            if isinstance(name, ast.Constant):
                yield Import(name=str(name.value), line=node.lineno)


def breaches(source: str, module: str) -> list[str]:
    """Return what in a module's source breaks the rooms, as `line 3: ...`."""
    tree = parsed(source)
    room = room_of(module)
    found = []
    for each in imports(tree, module):
        wrong = _breach(each.name, room)
        if wrong:
            found.append(f'line {each.line}: {wrong}')
        if each.name in STARTERS and room not in MAY_START:
            found.append(f'line {each.line}: {room} imports {each.name}')
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and room not in MAY_START:
            name = ast.unparse(node)
            if name in STARTERS:
                found.append(f'line {node.lineno}: {room} uses {name}')
    return found


def _breach(name: str, room: str) -> str | None:
    top = name.split('.')[0]
    if top != PACKAGE:
        names = itertools.accumulate(name.split('.'), '{}.{}'.format)
        wrong = any(room not in ONLY_IN[each] for each in names if each in ONLY_IN)
        return f'{room} imports {name}' if wrong else None
    target = room_of(name)
    # The version is the package's own; every room may show it.
    if name in (f'{PACKAGE}.__version__', PACKAGE) or target == room:
        return None
    if target not in ROOMS:
        return f'{room} imports {name}, which is in no room'
    return None if target in MAY_IMPORT[room] | COMMON else f'{room} imports {name}'


def modules() -> list[Path]:
    """Return every source file of the package."""
    return sorted(ROOT.rglob('*.py'))


def module_name(path: Path) -> str:
    """Return a file's module name; for a package's `__init__` one below it, as `.` means."""
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix('').parts]
    return '.'.join(parts)


@pytest.mark.parametrize('path', modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    """Rooms import inwards only; libraries stay in the rooms that own them."""
    if path == ROOT / '__init__.py':
        assert not list(imports(parsed(path.read_text(encoding='utf-8')), PACKAGE))
        return
    assert breaches(path.read_text(encoding='utf-8'), module_name(path)) == []


@pytest.mark.parametrize('room', sorted(COMMON))
def test_what_all_rooms_share_needs_the_standard_library_only(room: str) -> None:
    """Supervisors and scripts import it too."""
    source = (ROOT / f'{room}.py').read_text(encoding='utf-8')
    names = {each.name.split('.')[0] for each in imports(parsed(source), room)}
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize('path', sorted(ROOT.glob('process/*.py')), ids=lambda path: path.stem)
def test_what_the_gateway_takes_from_across_the_fork_is_what_both_sides_use(path: Path) -> None:
    """It stands in `child/` itself; the packages below are programs of their own."""
    taken = imports(parsed(path.read_text(encoding='utf-8')), module_name(path))
    across = [each.name for each in taken if each.name.startswith(f'{PACKAGE}.child.')]
    programs = {
        f'{PACKAGE}.child.{folder.parent.name}' for folder in ROOT.glob('child/*/__init__.py')
    }
    assert len(programs) > 1
    assert [name for name in across if '.'.join(name.split('.')[:3]) in programs] == []


@pytest.mark.parametrize(
    'path',
    sorted([*ROOT.glob('child/*.py'), *ROOT.glob('child/supervision/*.py')]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_supervision_needs_the_standard_library_only(path: Path) -> None:
    """A spawner starts without a site's packages; what it imports every supervisor holds."""
    rooms = {*COMMON, 'child'}
    for each in imports(parsed(path.read_text(encoding='utf-8')), module_name(path)):
        top = each.name.split('.')[0]
        assert top in sys.stdlib_module_names or (top == PACKAGE and room_of(each.name) in rooms)


@pytest.mark.parametrize('path', sorted(ROOT.glob('client/*.py')), ids=lambda path: path.stem)
def test_the_client_runs_where_no_gateway_is_installed(path: Path) -> None:
    """It needs the standard library, and of the package itself."""
    for each in imports(parsed(path.read_text(encoding='utf-8')), module_name(path)):
        top = each.name.split('.')[0]
        assert top in sys.stdlib_module_names or room_of(each.name) == 'client'


def test_only_what_a_script_calls_uses_the_client() -> None:
    """Supervisors and the gateway's own programs have no business with it."""
    users = [
        module_name(path)
        for path in sorted(ROOT.glob('child/**/*.py'))
        for each in imports(parsed(path.read_text(encoding='utf-8')), module_name(path))
        if room_of(each.name) == 'client'
    ]
    assert set(users) == {f'{PACKAGE}.child.script.child_executions'}


def test_what_may_hang_is_not_called_in_the_pool() -> None:
    """A call of another module has to say here why it ends."""
    users = {
        module_name(path).removeprefix(f'{PACKAGE}.')
        for path in modules()
        if re.search(r'\b(to_thread|run_in_executor)\b', path.read_text(encoding='utf-8'))
    }
    assert users == MAY_USE_THE_POOL.keys()


def test_files_share_a_name_only_where_it_is_a_role() -> None:
    """Who looks for a file by its name finds one; a role may be played in every room."""
    names = Counter(path.stem for path in modules())
    shared = {name for name, number in names.items() if number > 1}
    assert shared <= {'__init__', '__main__', 'errors', 'ports', 'values'}


def test_the_architecture_names_files_and_rooms_that_are_there() -> None:
    """Who follows it finds what it says."""
    page = (ROOT.parent / 'docs' / 'architecture.md').read_text()
    there = {path.name for top in (ROOT, ROOT.parent / 'test') for path in top.rglob('*.py')}
    named = {name.rpartition('/')[2] for name in re.findall(r'`([\w/]+\.py)`', page)}
    rooms = set(re.findall(r'`(\w+)/?`', page.split('Inside `executions/`')[0]))
    assert not named - there
    assert not ROOMS - rooms


def test_every_module_lies_in_a_room_of_the_design() -> None:
    """No module stands outside of the rooms, and every room has its rule."""
    rooms = {room_of(module_name(path)) for path in modules()} - {'__init__'}
    assert rooms <= ROOMS
    assert MAY_IMPORT.keys() == ROOMS


@pytest.mark.parametrize(
    ('module', 'source'),
    [
        ('entities.directory', 'from gateway_node.scripts.values import Script'),
        ('entities.directory', 'import gateway_node.executions.service'),
        ('scripts.library', 'from gateway_node.executions import errors'),
        ('executions.service', 'from gateway_node.storage.database import Database'),
        ('executions.service', 'from gateway_node import storage'),
        ('executions.service', 'from ..storage import database'),
        ('executions.service', 'from gateway_node.main import main'),
        ('executions.service', 'from gateway_node.manifest_files import read_manifest'),
        ('http_server.scripts', 'from gateway_node.process.runner import SupervisedScriptRunner'),
        ('http_server.scripts', 'def f():\n    import gateway_node.storage.execution_store'),
        ('storage.database', 'from gateway_node.ros import node'),
        ('ros.node', 'from gateway_node.http_server.services import Services'),
        ('process.runner', 'from gateway_node.storage import lock'),
        ('child.supervision.supervisor', 'from gateway_node.executions.values import Execution'),
        ('child.supervision.supervisor', 'from gateway_node.process import environment'),
        ('child.supervision.supervisor', 'from ...entities import values'),
        ('demo.temp_sensor', 'from gateway_node.ros.node import GatewayNode'),
        ('main', 'from gateway_node.child.supervision import spawner'),
        ('main', 'from gateway_node import testing'),
        ('executions.service', 'import rclpy'),
        ('http_server.scripts', 'from rclpy.node import Node'),
        ('main', 'import rclpy.context'),
        ('executions.service', 'import importlib\nimportlib.import_module("rclpy")'),
        ('storage.database', '__import__("rclpy")'),
        ('executions.service', 'from aiohttp import web'),
        ('process.runner', 'import aiohttp.web as w'),
        ('executions.service', 'import sqlite3'),
        ('main', 'import sqlite3'),
        ('main', 'from aiohttp import web'),
        ('callbacks.sending', 'from aiohttp import web'),
        ('executions.service', 'from gateway_node.callbacks.callback_service import Callbacks'),
        ('callbacks.callback_service', 'from gateway_node.storage.database import Database'),
        ('http_server.gateway', 'from sqlite3 import sqlite_version'),
        ('executions.service', 'import subprocess'),
        ('scripts.library', 'from subprocess import Popen'),
        ('ros.node', 'import multiprocessing.pool'),
        ('http_server.scripts', 'import os\nos.system("true")'),
        ('scripts.disk', 'from os import posix_spawn'),
        ('executions.active_execution', 'import asyncio\nx = asyncio.create_subprocess_exec'),
        ('storage.lock', 'import os\nif os.fork():\n    pass'),
        ('http_server.scripts', 'from gateway_node.helpers import anything'),
        ('entities.directory', 'if False:\n    from gateway_node.ros import node'),
        ('strict_json', 'from gateway_node.entities import names'),
    ],
)
def test_the_check_finds_what_breaks_the_rooms(module: str, source: str) -> None:
    """Every way to write a forbidden import is found, so that the check can fail."""
    assert len(breaches(source, f'{PACKAGE}.{module}')) == 1


@pytest.mark.parametrize(
    ('module', 'source'),
    [
        ('executions.service', 'from gateway_node.scripts.library import ScriptLibrary'),
        ('executions.service', 'from . import errors'),
        ('executions.service', 'from ..scripts import values'),
        ('http_server.gateway', 'from gateway_node import __version__'),
        ('callbacks.sending', 'import aiohttp\nfrom aiohttp.abc import AbstractResolver'),
        ('storage.callback_store', 'from gateway_node.callbacks.values import Callback'),
        ('process.runner', 'import subprocess\nfrom gateway_node.child import contract'),
        ('child.script.launch_sequence', 'import rclpy, launch'),
        ('child.supervision.supervisor', 'import os\nos.fork()'),
        ('child.supervision.supervisor', 'from gateway_node.strict_json import parse'),
        ('main', 'from gateway_node.storage.database import SQLITE_VERSION'),
        ('storage.database', 'import sqlite3, asyncio, os\nos.fsync(3)'),
    ],
)
def test_the_check_lets_pass_what_the_rooms_allow(module: str, source: str) -> None:
    """What the design allows is no breach."""
    assert breaches(source, f'{PACKAGE}.{module}') == []
