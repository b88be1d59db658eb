# SPDX-License-Identifier: Apache-2.0
"""What the process was born with: limits that are too low, and a home that is missing."""

import os
import pwd
import resource

import pytest

from gateway_node.surroundings import find_home, Limit, too_low

FILES = Limit(resource.RLIMIT_NOFILE, 64, 1, 'open files', 'ulimit -n')
PROCESSES = Limit(resource.RLIMIT_NPROC, 64, 1, 'processes', 'ulimit -u')


@pytest.mark.parametrize(
    ('soft', 'user', 'told'),
    [
        (63, 1000, ['open files', 'processes']),
        (63, 0, ['open files']),
        (64, 1000, []),
        (resource.RLIM_INFINITY, 1000, []),
    ],
)
def test_a_limit_is_too_low_below_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, soft: int, user: int, told: list[str]
) -> None:
    """What is needed is enough, no limit is no limit, and that on processes binds no root."""
    monkeypatch.setattr(resource, 'getrlimit', lambda _: (soft, resource.RLIM_INFINITY))
    monkeypatch.setattr(os, 'getuid', lambda: user)
    complaints = list(too_low((FILES, PROCESSES)))
    assert [what for what in ('open files', 'processes') if what in ' '.join(complaints)] == told
    for complaint in complaints:
        assert complaint.startswith('the limit of 63 ')
        assert 'at least 64' in complaint


@pytest.mark.parametrize('home', [None, ''])
def test_home_comes_from_passwd_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    """An empty one is none; one that is set stays, whatever passwd says."""
    if home is None:
        monkeypatch.delenv('HOME', raising=False)
    else:
        monkeypatch.setenv('HOME', home)
    find_home()
    assert os.environ['HOME'] == pwd.getpwuid(os.getuid()).pw_dir
    monkeypatch.setenv('HOME', '/elsewhere')
    find_home()
    assert os.environ['HOME'] == '/elsewhere'


def test_a_user_without_a_name_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a user id of its own: nothing is made up."""
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.setattr(os, 'getuid', lambda: 2**31 - 7)
    find_home()
    assert 'HOME' not in os.environ
