# SPDX-License-Identifier: Apache-2.0
"""How a download says what its file is called."""

from email.message import EmailMessage

import pytest

from gateway_node.http_server.answers import attachment


@pytest.mark.parametrize(
    ('file_name', 'header'),
    [
        ('check.sh', 'attachment; filename="check.sh"'),
        ('check it; now.sh', 'attachment; filename="check it; now.sh"'),
        ('a"b.sh', 'attachment; filename="a_b.sh"; filename*=UTF-8\'\'a%22b.sh'),
        ('a\\b.sh', 'attachment; filename="a_b.sh"; filename*=UTF-8\'\'a%5Cb.sh'),
        ('50%.sh', 'attachment; filename="50_.sh"; filename*=UTF-8\'\'50%25.sh'),
        ('straße.sh', 'attachment; filename="stra_e.sh"; filename*=UTF-8\'\'stra%C3%9Fe.sh'),
        ('\U0001f916.py', 'attachment; filename="_.py"; filename*=UTF-8\'\'%F0%9F%A4%96.py'),
        (
            'a\r\nSet-Cookie: b\0.sh',
            'attachment; filename="a__Set-Cookie: b_.sh"; '
            "filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b%00.sh",
        ),
        ('a\udcff.sh', 'attachment; filename="a_.sh"; filename*=UTF-8\'\'a%3F.sh'),
    ],
)
def test_a_name_stands_whole_and_as_older_clients_read_it(file_name: str, header: str) -> None:
    """RFC 6266: printable ASCII alone, anything else also as RFC 8187 writes it; no line ends."""
    assert attachment(file_name) == header


@pytest.mark.parametrize('file_name', ['check.sh', 'a b"c\\d%.sh', 'straße 東京 \U0001f916.sh'])
def test_a_client_reads_the_name_that_was_meant(file_name: str) -> None:
    """The standard library's reader of such headers finds it."""
    message = EmailMessage()
    message['Content-Disposition'] = attachment(file_name).replace('filename="', 'x="', 1)
    plain = EmailMessage()
    plain['Content-Disposition'] = attachment(file_name)
    assert file_name in (message.get_filename(), plain.get_filename())
