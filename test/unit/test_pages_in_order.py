# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation lead where they say, and their lists are whole and in order."""

import collections
import itertools
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = (ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(DOCS.rglob('*.md')))
_CODE = re.compile(r'^```.*?^```|`[^`\n]*`', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.*)', re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """Return what a link may name behind `#`, as GitHub makes it of the headings."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.MULTILINE | re.DOTALL)
    plain = (re.sub(r'[^\w\- ]', '', each.lower()) for each in _HEADING.findall(text))
    return {each.replace(' ', '-') for each in plain}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to one of its headings."""
    links = _LINK.findall(_CODE.sub('', page.read_text()))
    for link in (each for each in links if '://' not in each):
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_the_glossary_is_in_the_order_of_its_words() -> None:
    """Who looks a word up finds it, once."""
    rows = re.findall(r'^\| (.+?) \| .+ \|$', (DOCS / 'glossary.md').read_text(), re.MULTILINE)
    words = [each.lower() for each in rows[1:]]
    assert all(one < other for one, other in itertools.pairwise(words)), [
        pair for pair in itertools.pairwise(words) if pair[0] >= pair[1]
    ]


def test_each_decision_is_in_the_list_under_its_title() -> None:
    """In the order of their numbers."""
    folder = DOCS / 'decisions'
    listed = re.findall(
        r'^\| \[(\d+)\]\((.+?)\) \| (.+) \|$', (folder / 'README.md').read_text(), re.MULTILINE
    )
    assert listed == [
        (page.name[:3], page.name, page.read_text().partition('\n')[0].removeprefix('# '))
        for page in sorted(folder.glob('[0-9]*.md'))
    ]


def test_the_changelog_has_each_heading_and_each_line_once() -> None:
    """Of the version to come: what is new, what changed, what was mended."""
    text = (ROOT / 'CHANGELOG.rst').read_text()
    assert re.findall(r'^\*\*(.+)\*\*$', text, re.MULTILINE) == ['New', 'Changed', 'Mended']
    entries = re.findall(r'^\* (.+(?:\n  .+)*)', text, re.MULTILINE)
    assert [each for each, count in collections.Counter(entries).items() if count > 1] == []
