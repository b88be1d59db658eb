# SPDX-License-Identifier: Apache-2.0
"""The ladder of a stop, rung by rung."""

from clients import CLIENT

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.preconditions import PRECONDITION_LOST
from gateway_node.executions.stop import Stop
from gateway_node.executions.values import StopAction, Trigger, TriggerType

STOP, FORCE = StopAction.STOP, StopAction.FORCED_TERMINATION
A_CLIENT = Trigger(type=TriggerType.MANUAL, setting='stop')
ANOTHER = Trigger(type=TriggerType.MANUAL, setting='forced_termination')
SHUTDOWN = Trigger(type=TriggerType.SYSTEM, setting='shutdown')


def test_the_script_hears_of_a_stop_when_its_record_was_waited_for() -> None:
    """Nothing before, once then, and nothing more until somebody asks for more."""
    stop = Stop()
    assert (stop.to_tell, stop.is_wanted) == (None, False)
    stop = stop.ask(STOP, A_CLIENT, CLIENT, hold=True)
    assert (stop.to_tell, stop.is_wanted) == (None, True)
    stop = stop.release()
    assert stop.to_tell is STOP
    stop = stop.tell()
    assert stop.to_tell is None
    assert stop.ask(STOP, ANOTHER, CLIENT, hold=False).to_tell is None


def test_a_kill_goes_the_same_way_on_top_and_no_stop_takes_it_back() -> None:
    """The strongest that was asked for is told, whoever asks for less afterwards."""
    stop = Stop().ask(STOP, A_CLIENT, CLIENT, hold=False).tell()
    stop = stop.ask(FORCE, ANOTHER, CLIENT, hold=True)
    assert stop.to_tell is None
    stop = stop.ask(STOP, A_CLIENT, CLIENT, hold=True).release()
    assert stop.to_tell is FORCE
    assert stop.tell().to_tell is None


def test_the_first_client_is_who_asked_and_goes_before_the_gateway() -> None:
    """Whichever came first; what the gateway asks for is told without waiting."""
    stop = Stop().ask(STOP, SHUTDOWN, GATEWAY, hold=False)
    assert (stop.trigger, stop.actor, stop.to_tell) == (SHUTDOWN, GATEWAY, STOP)
    stop = stop.tell().ask(STOP, A_CLIENT, CLIENT, hold=True)
    assert (stop.trigger, stop.actor) == (A_CLIENT, CLIENT)
    stop = stop.ask(FORCE, ANOTHER, CLIENT, hold=True).ask(FORCE, SHUTDOWN, GATEWAY, hold=False)
    assert (stop.trigger, stop.actor, stop.to_tell) == (A_CLIENT, CLIENT, FORCE)


def test_of_the_reasons_of_the_gateway_the_first_is_told() -> None:
    """A shutdown while a script ends for what it required does not become the reason."""
    stop = Stop().ask(STOP, PRECONDITION_LOST, GATEWAY, hold=False)
    stop = stop.ask(FORCE, SHUTDOWN, GATEWAY, hold=False)
    assert (stop.trigger, stop.to_tell) == (PRECONDITION_LOST, FORCE)
    assert stop.ask(STOP, A_CLIENT, CLIENT, hold=False).trigger == A_CLIENT
