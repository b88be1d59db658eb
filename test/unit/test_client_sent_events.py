# SPDX-License-Identifier: Apache-2.0
"""The Python client reads Server-Sent Events as browsers do."""

from gateway_node.client.sent_events import sent_events, SentEvent

STREAM = (
    b': gateway_node\nretry: 2000\n\n'
    b'event: status\nid: a-1-0\ndata: {"payload":1}\n\n'
    b':\nid: a-2-0\n\n'
    b'event:progress\ndata:{"payload":\ndata:  2}\n\n'
    b'id: a-2-1\r\nevent: output\r\ndata: \xc3\xa4: b\r\n\r\n'
    b'unknown: field\nid: with\0nul\ndata\n\n'
)
EVENTS = [
    SentEvent(kind='status', data='{"payload":1}', last_id='a-1-0'),
    SentEvent(kind='progress', data='{"payload":\n 2}', last_id='a-2-0'),
    SentEvent(kind='output', data='ä: b', last_id='a-2-1'),
    SentEvent(kind='message', data='', last_id='a-2-1'),
]


def test_events_have_a_kind_their_data_and_a_place() -> None:
    """A place stays that of the last event that named one; comments and what is unknown are
    skipped."""
    assert list(sent_events(STREAM.splitlines(keepends=True))) == EVENTS


def test_what_a_cut_leaves_of_an_event_is_none() -> None:
    """Wherever it cuts: whole events alone are told, and places behind them."""
    for end in range(len(STREAM)):
        whole = STREAM[:end].replace(b'\r', b'').count(b'\n\n')
        told = list(sent_events(STREAM[:end].splitlines(keepends=True)))
        assert told == EVENTS[: max(0, whole - 1 - (whole > 2))]
