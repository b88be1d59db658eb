# SPDX-License-Identifier: Apache-2.0
"""Finding what is served under a path."""

import pytest

from gateway_node.http_server.paths import Paths


@pytest.fixture
def paths() -> Paths[str]:
    """Serve a few paths."""
    served: Paths[str] = Paths()
    choices = {'kind': ['apps', 'components']}
    served.add('GET', '/v1/files/{file}', 'a file', {}, takes_rest=True)
    for method, path in (
        ('GET', '/v1'),
        ('GET', '/v1/apps'),
        ('GET', '/v1/apps/{thing}'),
        ('GET', '/v1/{kind}/{thing}/scripts'),
        ('POST', '/v1/{kind}/{thing}/scripts'),
        ('GET', '/v1/apps/docs'),
    ):
        served.add(method, path, f'{method} {path}', choices)
    return served


@pytest.mark.parametrize(
    ('path', 'methods', 'segments'),
    [
        ('/v1', {'GET'}, {}),
        ('/v1/', {'GET'}, {}),
        ('/v1/apps', {'GET'}, {}),
        ('/v1/apps/x', {'GET'}, {'thing': 'x'}),
        ('/v1/apps/docs/', {'GET'}, {}),
        ('/v1/files/a', {'GET'}, {'file': 'a'}),
        ('/v1/files/a/b%20c/d', {'GET'}, {'file': 'a/b c/d'}),
        ('/v1/files/a%2Fb/c/', {'GET'}, {'file': 'a/b/c'}),
        ('/v1/files/a//b', {'GET'}, {'file': 'a//b'}),
        ('/v1/apps/docs/scripts', {'GET', 'POST'}, {'kind': 'apps', 'thing': 'docs'}),
        ('/v1/%61pps/%78', {'GET'}, {'thing': 'x'}),
        ('/v1/apps/a%2fb', {'GET'}, {'thing': 'a/b'}),
        ('/v1/apps/apps', {'GET'}, {'thing': 'apps'}),
        ('/v1/apps/x/scripts', {'GET', 'POST'}, {'kind': 'apps', 'thing': 'x'}),
        ('/v1/components/x/scripts/', {'GET', 'POST'}, {'kind': 'components', 'thing': 'x'}),
    ],
)
def test_a_path_is_found_with_what_stands_for_its_placeholders(
    paths: Paths[str], path: str, methods: set[str], segments: dict[str, str]
) -> None:
    """Decoded, an encoded slash included; one slash at the end changes nothing."""
    found = paths.find(path)
    assert found is not None
    assert (set(found.methods), found.segments) == (methods, segments)


@pytest.mark.parametrize(
    'path',
    ['', '/', '//', '*', 'v1', '/v1//', '/v1/areas', '/v1/apps//', '/v1//scripts', '/v1/x/y/z',
     '/v1/components', '/v1/components/x', '/v1/areas/x/scripts', '/v1/apps/x/scripts/y',
     '/v1/../v1', '/v1/files', '/v1/files/', '/v1/apps/docs/docs'],
)  # fmt: skip
def test_no_other_path_is_found(paths: Paths[str], path: str) -> None:
    """No placeholder stands for nothing, and a choice for nothing else."""
    assert paths.find(path) is None
