# SPDX-License-Identifier: Apache-2.0
"""Scripts that have the gateway execute others, and wait for them."""

from collections.abc import Iterator
from pathlib import Path
import re

from gateway_in_a_thread import ENTITY, gateway_in_a_thread
import pytest

from gateway_node.client import Execution, Gateway, Line, NotFound, Status
from gateway_node.script import start, wait

PAGE = (Path(__file__).parents[2] / 'docs' / 'writing_scripts.md').read_text()
CHECKS = b'cat > "$GATEWAY_RESULT"\n'


@pytest.fixture(scope='module')
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a gateway for all tests of this file."""
    parameters = {'python.warm': False}
    with gateway_in_a_thread(tmp_path_factory.mktemp('state'), parameters) as address:
        yield address


@pytest.fixture
def gateway(address: str) -> Iterator[Gateway]:
    """Give a client, and stop at the end what it started."""
    with Gateway(f'http://{address}') as gateway:
        yield gateway
        gateway.stop_all()


def run(gateway: Gateway, content: str) -> Execution:
    """Start a script in Python."""
    script = gateway.upload(ENTITY, content.encode(), file_name='parent.py')
    return gateway.start(ENTITY, script)


def test_the_example_starts_two_and_waits_for_them(gateway: Gateway) -> None:
    """As it stands on the page, but for the ids of the scripts and their entity."""
    section = PAGE.split('## Scripts that start others\n', 1)[1]
    example = section.split('```python\n', 1)[1].split('```', 1)[0]
    check = gateway.upload(ENTITY, CHECKS, file_name='check.sh').id
    example = re.sub('check_battery|check_brakes', check, example).replace('apps/battery', ENTITY)
    parent = run(gateway, example)
    ended = gateway.wait(parent)
    assert (ended.status, ended.stderr) == (Status.COMPLETED, '')
    assert ended.parameters == {'battery': None, 'brakes': 'completed'}
    children = list(gateway.executions(parent=parent.id))
    assert [each.script_id for each in children] == [check, check]
    inputs = [gateway.execution(each).fields.get('input_parameters') for each in children]
    assert {'threshold': 11.5} in inputs


def test_a_script_that_starts_nothing_does_not_load_the_client(gateway: Gateway) -> None:
    """It would begin later by what that takes."""
    ended = gateway.wait(
        run(
            gateway, 'import sys, gateway_node.script\nprint("gateway_node.client" in sys.modules)'
        )
    )
    assert ended.stdout == 'False\n'


def test_a_child_that_is_not_waited_for_goes_on(gateway: Gateway) -> None:
    """Its parent has ended by then."""
    child = gateway.upload(ENTITY, b'sleep 3600\n', file_name='sleeps.sh')
    parent = run(
        gateway,
        f'from gateway_node.script import start\nprint(start("{child.id}", timeout_sec=90).id)',
    )
    ended = gateway.wait(parent)
    assert ended.stdout is not None
    started = gateway.execution(ended.stdout.strip())
    assert (started.has_ended, started.parent) == (False, parent.id)
    assert started.fields['timeout_sec'] == 90
    assert gateway.stop(started, forced=True).status is Status.TERMINATED


@pytest.mark.parametrize('stop_children', [True, False])
def test_a_child_is_stopped_with_its_parent(gateway: Gateway, stop_children: bool) -> None:
    """Who waited for it is gone; unless whoever stops its parent does not want that."""
    child = gateway.upload(ENTITY, b'sleep 3600\n', file_name='sleeps.sh')
    parent = run(
        gateway,
        'from gateway_node.script import start, wait\n'
        f'child = start("{child.id}")\nprint(child.id, flush=True)\nwait(child)',
    )
    child_id = next(iter(gateway.lines(parent))).text
    gateway.stop(parent, stop_children=stop_children)
    assert gateway.wait(parent).status is Status.TERMINATED
    if not stop_children:
        assert not gateway.execution(child_id).has_ended
        gateway.stop(child_id)
    assert gateway.wait(child_id).status is Status.TERMINATED


def test_what_the_gateway_refuses_is_an_error_of_the_client(gateway: Gateway) -> None:
    """A script may tell them apart."""
    parent = run(
        gateway,
        'from gateway_node.client import NotFound\nfrom gateway_node.script import start\n'
        'try:\n    start("nothing")\nexcept NotFound as error:\n    print(error.status)',
    )
    assert [each.text for each in gateway.follow(parent) if isinstance(each, Line)] == ['404']


def test_by_hand_a_script_is_told_what_it_needs(
    address: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with that it works, as nobody's child."""
    check = gateway.upload(ENTITY, CHECKS, file_name='check.sh')
    for name in ('GATEWAY_URL', 'GATEWAY_ENTITY', 'GATEWAY_EXECUTION_ID'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=r'wait\(\) needs GATEWAY_URL, .* GATEWAY_URL=http://'):
        wait('exec_x')
    monkeypatch.setenv('GATEWAY_URL', f'http://{address}')
    with pytest.raises(RuntimeError, match=r'start\(\) needs GATEWAY_ENTITY, '):
        start(check.id)
    with pytest.raises(NotFound):
        start('nothing', entity=ENTITY)
    ended = wait(start(check.id, {'by': 'hand'}, entity=ENTITY))
    assert (ended.parameters, ended.parent) == ({'by': 'hand'}, None)
