# SPDX-License-Identifier: Apache-2.0
"""What the host is called, and a resolver that does not say."""

import socket
import threading

import pytest

from gateway_node.http_server import host_names


async def test_the_host_is_known_by_its_name_and_with_its_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the system and the resolver tell them."""
    monkeypatch.setattr(socket, 'gethostname', lambda: 'robot7')
    monkeypatch.setattr(socket, 'getfqdn', lambda: 'robot7.lab.example')
    assert await host_names.host_names() == ('robot7', 'robot7.lab.example')


async def test_a_resolver_that_does_not_answer_holds_up_neither_start_nor_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The name alone is known then, and the log says so; nothing waits for the thread."""
    answered = threading.Event()
    asked: list[bool] = []

    def getfqdn() -> str:
        asked.append(threading.current_thread().daemon)
        return str(answered.wait(60))

    monkeypatch.setattr(host_names, 'RESOLVER_SEC', 0.2)
    monkeypatch.setattr(socket, 'gethostname', lambda: 'robot7')
    monkeypatch.setattr(socket, 'getfqdn', getfqdn)
    assert await host_names.host_names() == ('robot7',)
    answered.set()
    assert asked == [True]
    assert 'the resolver does not tell' in caplog.text
