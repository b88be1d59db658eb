# SPDX-License-Identifier: Apache-2.0
"""Executes the examples of docs/client.md, one after the other, and holds the page to the code."""

from pathlib import Path
import re
from typing import Any

from gateway_in_a_thread import gateway_in_a_thread
import pytest

from gateway_node import client
from gateway_node.client import Gateway, GatewayError, Refused

PAGE = (Path(__file__).parents[2] / 'docs' / 'client.md').read_text()
BLOCKS = re.findall(r'^```python\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
SCRIPT = """
echo 50 >&3
echo "depth ${PARAM_DEPTH:-none}"
printf '{"verdict": "WARN"}' > "$GATEWAY_RESULT"
"""


def test_the_examples_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand there, but for the address."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'check.sh').write_text(SCRIPT)
    names: dict[str, Any] = {}
    printed = []
    with gateway_in_a_thread(tmp_path / 'state', {'python.warm': False}) as address:
        for block in BLOCKS:
            assert 'http://127.0.0.1:8080' in block
            exec(block.replace('127.0.0.1:8080', address), names)
            printed.append(capsys.readouterr().out.splitlines())
    first, found, followed, *_ = printed
    assert first == ['depth 3', "completed WARN {'verdict': 'WARN'}"]
    assert found == []
    assert 'stdout: depth none' in followed
    assert followed[-1] == 'completed'


def test_the_page_names_all_that_the_client_has() -> None:
    """Every method, and every error."""
    methods = {name for name in vars(Gateway) if not name.startswith('_')} - {'url'}
    assert {name for name in methods if f'`{name}(' not in PAGE} <= {'close'}
    errors = {
        name
        for name in client.__all__
        if isinstance(kind := getattr(client, name), type) and issubclass(kind, GatewayError)
    }
    assert Refused.__name__ in errors
    assert {name for name in errors if f'`{name}`' not in PAGE} == set()
