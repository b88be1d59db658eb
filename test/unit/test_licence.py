# SPDX-License-Identifier: Apache-2.0
"""Every file says under which licence it is."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ('.ci', 'config', 'gateway_node', 'launch', 'test')
SUFFIXES = frozenset(
    {'.py', '.sh', '.yaml', '.toml', '.cfg', '.service', '.txt', '.js', '.css', '.html'}
)
PUBLISHED = 'swagger-ui-dist'
"""A folder with files of others, as they were published, their licence among them."""
LINE = 'SPDX-License-Identifier: Apache-2.0'


def test_every_file_names_its_licence_in_its_first_line() -> None:
    """Or below the line that names an interpreter; package.xml has a tag for it."""
    below = (path for folder in FOLDERS for path in (ROOT / folder).rglob('*'))
    files = [path for path in (*ROOT.glob('*'), *below) if path.is_file() and concerns(path)]
    assert len(files) > 100
    assert [str(path.relative_to(ROOT)) for path in files if not names_licence(path)] == []


def concerns(path: Path) -> bool:
    """Tell whether a file is one of ours that can say so in a comment."""
    if PUBLISHED in path.parts:
        return False
    if path.name == 'Makefile' or path.parent == ROOT / '.ci':
        return True
    return path.suffix in SUFFIXES or path.name.endswith('.launch.xml')


def names_licence(path: Path) -> bool:
    """Tell whether a file's first line, or the one below `#!`, names the licence."""
    first, _, rest = path.read_text(encoding='utf-8').partition('\n')
    return LINE in (rest.partition('\n')[0] if first.startswith('#!') else first)
