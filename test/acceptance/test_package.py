# SPDX-License-Identifier: Apache-2.0
"""The package as colcon builds and installs it from what git holds, and as `ros2 run` finds it."""

import ast
import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from waiting import wait_for

pytest.importorskip('colcon_core', reason='colcon is not installed')

from gateway_process import entry_point, nothing_left, started
from syntax import parsed

from gateway_node import __version__
from gateway_node.before_start import MISCONFIGURED

ROOT = Path(__file__).parents[2]
PACKAGE = 'gateway_node'
BUILD = f'colcon build --packages-select {PACKAGE}'
BUILD_SEC = 300


@pytest.fixture(scope='module')
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a copy of the checkout in a workspace of its own; return what is installed."""
    if not (ROOT / '.git').exists():
        pytest.skip('no git checkout, whose files are what a robot would get')
    workspace = tmp_path_factory.mktemp('workspace')
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split('\0')):
        if (ROOT / name).is_file():  # one that was just removed is still in the index
            copy = workspace / 'src' / PACKAGE / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
    assert BUILD in (ROOT / 'README.md').read_text(encoding='utf-8').splitlines()
    built = run_colcon(workspace, *BUILD.split()[1:])
    assert f'Finished <<< {PACKAGE}' in built
    return workspace / 'install'


def run_colcon(workspace: Path, verb: str, *arguments: str) -> str:
    """Run a verb of colcon in a workspace; return what it wrote."""
    environment = {**os.environ, 'COLCON_HOME': str(workspace / 'colcon'), 'PYTHONWARNINGS': ''}
    environment.pop('PYTHONDONTWRITEBYTECODE', None)  # a robot has none
    with nothing_left():
        ended = subprocess.run(
            [colcon(), verb, '--event-handlers', 'console_direct+', *arguments],
            cwd=workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SEC,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def colcon() -> str:
    """Return colcon's executable: beside this interpreter, or on the path."""
    found = shutil.which('colcon', path=str(Path(sys.executable).parent)) or shutil.which('colcon')
    assert found, 'colcon_core is installed, its executable is not'
    return found


pytestmark = pytest.mark.timeout(BUILD_SEC + 60)


def test_the_index_the_launch_files_and_the_configuration_are_installed(installed: Path) -> None:
    """The marker by which ROS finds a package, and all that belongs into share/."""
    share = installed / PACKAGE / 'share'
    assert (share / 'ament_index/resource_index/packages' / PACKAGE).is_file()
    for folder, pattern in (('launch', '*.launch.py'), ('config', '*')):
        expected = {path.name for path in (ROOT / folder).glob(pattern)}
        assert expected
        assert {path.name for path in (share / PACKAGE / folder).iterdir()} == expected
    assert (share / PACKAGE / 'package.xml').is_file()


def test_what_is_installed_is_compiled(installed: Path) -> None:
    """A start compiles nothing, also where the gateway may not write beside its code."""
    (package,) = (path.parent for path in (installed / PACKAGE).rglob(f'{PACKAGE}/main.py'))
    modules = list(package.rglob('*.py'))
    assert modules
    for module in modules:
        assert Path(importlib.util.cache_from_source(module)).is_file(), module


def test_the_documentation_is_installed(installed: Path) -> None:
    """Messages point to it; it lies as it does here, so that the links between pages hold."""
    share = installed / PACKAGE / 'share' / PACKAGE
    pages = [str(path.relative_to(ROOT)) for path in (ROOT / 'docs').rglob('*.md')]
    assert pages
    for page in [*pages, 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.rst', 'LICENSE']:
        assert (share / page).read_bytes() == (ROOT / page).read_bytes()


def test_the_page_that_shows_the_api_is_installed(installed: Path) -> None:
    """With the licences of what is not ours."""
    here = ROOT / PACKAGE / 'http_server' / 'pages'
    (there,) = (installed / PACKAGE).rglob('http_server/pages')
    files = [path.relative_to(here) for path in here.rglob('*') if path.is_file()]
    assert len(files) == 9
    for file in files:
        assert (there / file).read_bytes() == (here / file).read_bytes()


def test_every_ros_package_that_is_imported_is_a_dependency() -> None:
    """Rosdep installs what package.xml lists, and nothing else."""
    listed = xml.etree.ElementTree.parse(ROOT / 'package.xml').getroot()
    depends = {each.text for each in listed.findall('exec_depend')}
    imported: set[str] = set()
    for file in (*(ROOT / PACKAGE).rglob('*.py'), *(ROOT / 'launch').glob('*.py')):
        for node in ast.walk(parsed(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition('.')[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or '').partition('.')[0])
    foreign = imported - set(sys.stdlib_module_names) - {PACKAGE}
    debian = {
        'aiohttp': 'python3-aiohttp',
        'cryptography': 'python3-cryptography',
        'jsonschema': 'python3-jsonschema',
        'jwt': 'python3-jwt',
        'referencing': 'python3-jsonschema',  # of those versions that need it
        'yaml': 'python3-yaml',
    }
    assert {debian.get(name, name) for name in foreign} <= depends
    assert {'ros2launch', 'ros2run'} <= depends, 'without them the documented commands fail'


def test_versions_and_names_agree(installed: Path) -> None:
    """package.xml, setup.py and the package itself say the same."""
    manifest = xml.etree.ElementTree.parse(
        installed / PACKAGE / 'share' / PACKAGE / 'package.xml'
    ).getroot()
    assert manifest.get('format') == '3'
    assert manifest.findtext('name') == PACKAGE
    assert manifest.findtext('version') == __version__
    assert manifest.findtext('license') == 'Apache-2.0'
    assert manifest.findtext('export/build_type') == 'ament_python'
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert f"version='{__version__}'" in setup


def test_every_module_is_installed(installed: Path) -> None:
    """No room is forgotten, `py.typed` neither."""
    (site,) = (installed / PACKAGE / 'lib').glob('python3*/site-packages')
    names = subprocess.run(
        ['git', 'ls-files', PACKAGE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    missing = [name for name in names if (ROOT / name).is_file() and not (site / name).is_file()]
    assert missing == []
    assert (site / PACKAGE / 'py.typed').is_file()


def test_the_executables_are_where_ros2_run_looks(installed: Path) -> None:
    """`lib/gateway_node/` holds the gateway, what makes tokens and the demo node, executable."""
    folder = installed / PACKAGE / 'lib' / PACKAGE
    assert {path.name for path in folder.iterdir()} == {
        'gateway_node',
        'gateway_token',
        'temp_sensor',
    }
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


def test_the_installed_gateway_starts(installed: Path, tmp_path: Path) -> None:
    """In the sourced workspace it serves, from the installed modules, and refuses a bad value."""
    pytest.importorskip('rclpy', reason='ROS is not installed')
    executable = installed / PACKAGE / 'lib' / PACKAGE / PACKAGE
    arguments = entry_point(tmp_path / 'state')[3:]
    with nothing_left(), started(sourced(installed, str(executable), *arguments), tmp_path) as one:
        process, log = one
        wait_for(
            log.read_text,
            lambda told: 'serving http://' in told or process.poll() is not None,
            what='the installed gateway serves',
        )
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    bad = ['--ros-args', '-p', 'server.port:=70000']
    with nothing_left(), started(sourced(installed, str(executable), *bad), tmp_path) as two:
        process, log = two
        assert process.wait(30) == MISCONFIGURED
    assert 'gateway_node: parameter server.port is 70000' in log.read_text()


def sourced(installed: Path, *command: str) -> list[str]:
    """Build the command that sources the workspace and becomes another one."""
    return ['sh', '-c', '. "$0/setup.sh" && exec "$@"', str(installed), *command]


def test_the_installed_modules_are_the_ones_that_run(installed: Path) -> None:
    """In the sourced workspace `import gateway_node` is what colcon installed."""
    asked = [sys.executable, '-c', f'import {PACKAGE}; print({PACKAGE}.__file__)']
    told = subprocess.run(
        sourced(installed, *asked), cwd='/', capture_output=True, text=True, check=True
    )
    assert Path(told.stdout.strip()).is_relative_to(installed)


def test_colcon_test_passes(installed: Path) -> None:
    """It runs pytest as `make test` does, with this package's options, and notes each result.

    Only some of the tests: all of them are run by whoever runs this one, and would run it again.
    """
    workspace = installed.parent
    # From the package's folder, where colcon starts pytest.
    some = ('test/unit/test_layering.py', 'test/unit/test_transitions.py')
    told = run_colcon(workspace, 'test', '--return-code-on-test-failure', '--pytest-args', *some)
    assert f'Finished <<< {PACKAGE}' in told
    results = xml.etree.ElementTree.parse(workspace / 'build' / PACKAGE / 'pytest.xml')
    (suite,) = results.getroot().iter('testsuite')
    assert int(suite.attrib['tests']) > len(some)
    assert (suite.attrib['failures'], suite.attrib['errors']) == ('0', '0')
    files = {case.attrib['classname'] for case in suite.iter('testcase')}
    assert {name.rpartition('.')[2] for name in files} == {Path(each).stem for each in some}
