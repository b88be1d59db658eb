# SPDX-License-Identifier: Apache-2.0
"""Ends are told to their callbacks: each at least once, over kills and restarts of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterable
import contextlib
from itertools import pairwise, repeat
import json
from pathlib import Path
from typing import Any

from clients import CLIENT
from lives import Life, Robot
from loop_clock import LoopClock
import pytest
from receivers import answers, answers_one_after_another, hang, Receiver, receiver
from waiting import wait_until

from gateway_node.callbacks.callback_service import RETRY_SEC
from gateway_node.callbacks.errors import CallbackNotDue, CallbackNotFound
from gateway_node.callbacks.values import Callback, CallbackStatus
from gateway_node.executions.errors import CallbackRefused, StoreUnavailable, StoreUnusable
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import (
    Execution,
    ExecutionType,
    Output,
    StopAction,
)
from gateway_node.http_server.callbacks import AnsweredEnds
from gateway_node.storage.callback_store import SqliteCallbackStore

NOW = ExecutionType.NOW
WAITING = CallbackStatus.WAITING
DELIVERING = CallbackStatus.DELIVERING
DELIVERED = CallbackStatus.DELIVERED
FAILED = CallbackStatus.FAILED
DAY_SEC = 86400.0

# Each wait has a deadline of its own, which tells more.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot whose callbacks may go to the loopback."""
    robot = Robot(tmp_path)
    robot.allowed = ('localhost',)
    return robot


@pytest.fixture
async def loop_clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """Take over the clock of the loop."""
    return LoopClock(monkeypatch)


@contextlib.asynccontextmanager
async def sending(life: Life) -> AsyncIterator[None]:
    """Have callbacks sent, as the gateway does while it is open."""
    task = asyncio.create_task(life.callbacks.keep_sending())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def url_of(told: Receiver) -> str:
    return f'http://127.0.0.1:{told.port}/ended'


async def ended(life: Life, callback: str | None) -> Execution:
    """Start an execution with a callback and let it end."""
    script_id = await life.upload()
    return await life.finish((await life.start(script_id, NOW, callback=callback)).id)


async def settled(life: Life, execution: Execution, *, attempts: int) -> Callback:
    """Return how a callback stands once it was tried so often; what does not come says where each
    task is meanwhile."""
    callback = None
    try:
        async with asyncio.timeout(30):
            while True:
                callback = await life.callbacks.state(execution)
                if callback.attempts >= attempts and callback.status is not DELIVERING:
                    return callback
                await asyncio.sleep(0)
    except TimeoutError:
        tasks = '\n'.join(f'{task.get_name()}: {stack_of(task)}' for task in asyncio.all_tasks())
        pytest.fail(f'not within 30 s: {attempts} attempts of {callback}\n{tasks}')


def stack_of(task: 'asyncio.Task[Any]') -> str:
    """Return where a task waits, the innermost last."""
    waits: Any = task.get_coro()
    told = []
    while waits is not None:
        told.append(repr(waits))
        waits = getattr(waits, 'cr_await', None)
    return ' > '.join(told)


def refuse(
    patch: pytest.MonkeyPatch, method: str, errors: Iterable[StoreUnavailable]
) -> list[float]:
    """Have the store of callbacks refuse as long as there are errors; return when it is asked."""
    real, left, asked_at = getattr(SqliteCallbackStore, method), iter(errors), list[float]()

    async def refusing(*arguments: Any) -> Any:
        asked_at.append(asyncio.get_running_loop().time())
        if (error := next(left, None)) is not None:
            raise error
        return await real(*arguments)

    patch.setattr(SqliteCallbackStore, method, refusing)
    return asked_at


async def let_pass(robot: Robot, loop_clock: LoopClock, seconds: float) -> None:
    """Let a little more than so much time pass for all that measures it."""
    seconds += 0.001
    robot.clock.advance(seconds)
    await loop_clock.advance(seconds)


async def test_an_end_is_told_as_get_answers_it(robot: Robot) -> None:
    """Once it is on record, with all of the output."""
    async with receiver(answers(200)) as told, robot.gateway() as life, sending(life):
        script_id = await life.upload()
        execution = await life.start(script_id, NOW, callback=url_of(told))
        await life.runner.script(execution.id)
        assert (await life.callbacks.state(execution)).status is WAITING
        assert told.connections == 0
        life.runner.outputs.written[execution.id] = Output(stdout='21 degrees\n')
        await life.finish(execution.id)
        end = (await told.wait_for(1)).execution
        assert (end['id'], end['status']) == (execution.id, 'completed')
        assert end['href'] == (
            f'/api/v1/apps/temp_sensor/scripts/{script_id}/executions/{execution.id}'
        )
        assert end['output']['stdout'] == '21 degrees\n'
        assert end['callback'] == url_of(told)
        assert end['input_parameters'] == {'depth': 3}
        assert told.told[0].headers['webhook-id'] == execution.id
        callback = await settled(life, execution, attempts=1)
        assert (callback.status, callback.last_status) == (DELIVERED, 200)
        assert callback.last_attempt_at == robot.clock.now()
        assert life.callbacks.next_attempt_in_sec(callback) is None
        assert life.callbacks.figures == {
            'waiting': 0,
            'delivering': 0,
            'delivered': 1,
            'failed': 0,
        }


async def test_what_is_told_is_settled(robot: Robot) -> None:
    """Whoever asks for it earlier waits for the end, and has the output that comes with that."""
    async with robot.gateway() as life:
        execution = await life.start(await life.upload(), NOW)
        script = await life.runner.script(execution.id)
        documents = AnsweredEnds(life.questions, '/api/v1')
        asked = asyncio.create_task(documents.document(execution.id))
        await asyncio.sleep(0)
        output = Output(stdout='21 degrees\n')
        script.end(Outcome(cause=EndCause.EXITED, exit_code=0, duration_sec=0.5, output=output))
        end = json.loads(await asked)
        assert (end['status'], end['output']['stdout']) == ('completed', '21 degrees\n')


async def test_each_way_to_end_is_told(robot: Robot) -> None:
    """Failed, stopped, past its time: a receiver hears of all of them."""
    async with receiver(answers(200)) as told, robot.gateway() as life, sending(life):
        script_id = await life.upload()
        ends = [Outcome(cause=EndCause.EXITED, exit_code=3), Outcome(cause=EndCause.TIMED_OUT)]
        for end in ends:
            execution = await life.start(script_id, NOW, callback=url_of(told))
            (await life.runner.script(execution.id)).end(end)
        stopped = await life.start(script_id, NOW, callback=url_of(told))
        (await life.runner.script(stopped.id)).obedient = True
        await life.executions.stop(
            stopped.entity, script_id, stopped.id, StopAction.STOP, actor=CLIENT
        )
        await told.wait_for(3)
    told_of = [each.execution for each in told.told]
    codes = {each.get('error', {}).get('vendor_code') for each in told_of}
    assert codes == {'x-gateway-script-failed', 'x-gateway-timeout', None}
    assert [each['status'] for each in told_of].count('terminated') == 1


async def test_a_callback_that_is_not_allowed_starts_nothing(robot: Robot) -> None:
    """Nothing is recorded."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        with pytest.raises(CallbackRefused):
            await life.start(script_id, NOW, callback='http://fleet.example/')
        assert await life.all(script_id) == []


async def test_what_was_not_taken_is_sent_again_after_growing_pauses(
    robot: Robot, loop_clock: LoopClock
) -> None:
    """Each about as long as it has been tried, from seconds to an hour; one id for all."""
    manners = answers_one_after_another(*[answers(500)] * 5, answers(200))
    async with receiver(manners) as told, robot.gateway() as life, sending(life):
        execution = await ended(life, url_of(told))
        pauses: list[float] = []
        for number in range(1, 6):
            callback = await settled(life, execution, attempts=number)
            assert (callback.status, callback.last_status) == (WAITING, 500)
            pauses.append(life.callbacks.next_attempt_in_sec(callback) or 0)
            await let_pass(robot, loop_clock, pauses[-1])
        assert (await settled(life, execution, attempts=6)).status is DELIVERED
    assert 4 <= pauses[0] <= 6
    assert pauses[4] > 2 * pauses[1]
    assert {each.headers['webhook-id'] for each in told.told} == {execution.id}


async def test_a_receiver_is_not_asked_before_it_wants_to_be(robot: Robot) -> None:
    """Retry-After counts, up to an hour."""
    for asked, waited in ((120, 120), (10**6, 3600)):
        manners = answers(503, f'Retry-After: {asked}')
        async with receiver(manners) as told, robot.gateway() as life, sending(life):
            callback = await settled(life, await ended(life, url_of(told)), attempts=1)
            assert life.callbacks.next_attempt_in_sec(callback) == waited


async def test_what_a_killed_gateway_did_not_deliver_the_next_one_does(
    robot: Robot, loop_clock: LoopClock
) -> None:
    """After what is left of the pause, as one more attempt."""
    manners = answers_one_after_another(answers(500), answers(200))
    async with receiver(manners) as told, receiver(answers(200)) as other:
        async with robot.gateway() as life, sending(life):
            execution = await ended(life, url_of(told))
            before = await settled(life, execution, attempts=1)
        async with robot.gateway() as life, sending(life):
            callback = await life.callbacks.state(execution)
            assert callback == before
            left_sec = life.callbacks.next_attempt_in_sec(callback)
            assert left_sec is not None
            assert 0 < left_sec <= 6
            # Were it sent before, it would be by then.
            await settled(life, await ended(life, url_of(other)), attempts=1)
            assert (len(told.told), life.callbacks.figures['waiting']) == (1, 1)
            await let_pass(robot, loop_clock, left_sec)
            assert (await settled(life, execution, attempts=2)).status is DELIVERED
        async with robot.gateway() as life, sending(life):
            # What was delivered is not sent again by anybody.
            assert (await life.callbacks.state(execution)).attempts == 2
            another = await ended(life, url_of(told))
            await settled(life, another, attempts=1)
    assert [each.execution['id'] for each in told.told] == [execution.id] * 2 + [another.id]


async def test_what_ended_with_the_gateway_is_told_by_the_next_one(robot: Robot) -> None:
    """Killed before it could send, or before the script had ended."""
    async with receiver(answers(200)) as told:
        async with robot.gateway() as life:
            unsent = await ended(life, url_of(told))
            script_id = await life.upload()
            running = await life.start(script_id, NOW, callback=url_of(told))
        async with robot.gateway() as life, sending(life):
            await told.wait_for(2)
            for execution in (unsent, running):
                assert (await settled(life, execution, attempts=1)).status is DELIVERED
    told_of = {each.execution['id']: each.execution for each in told.told}
    assert told_of[unsent.id]['status'] == 'completed'
    assert told_of[running.id]['error']['vendor_code'] == 'x-gateway-restarted'


async def test_earlier_ends_are_told_once_the_store_is_there(
    robot: Robot, loop_clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read when the gateway begins to send is read later."""
    async with receiver(answers(200)) as told:
        async with robot.gateway() as life:
            execution = await ended(life, url_of(told))
        asked_at = refuse(monkeypatch, 'undelivered', [StoreUnavailable('disk error')])
        async with robot.gateway() as life, sending(life):
            await wait_until(lambda: bool(asked_at), what='the store is asked')
            assert told.connections == 0
            await loop_clock.advance(6)
            assert (await settled(life, execution, attempts=1)).status is DELIVERED
    assert len(asked_at) == 2


async def test_a_receiver_has_a_day_of_time_up(robot: Robot, loop_clock: LoopClock) -> None:
    """Time for which no gateway runs does not count, nor does a clock that jumps."""
    async with receiver(answers(500)) as told:
        async with robot.gateway() as life, sending(life):
            execution = await ended(life, url_of(told))
            await settled(life, execution, attempts=1)
        robot.clock.wall = robot.clock.wall.replace(year=2038)
        async with robot.gateway() as life, sending(life):
            # A pause is an hour at most: what was not tried for most of the day is due at once.
            spent_sec, attempts = DAY_SEC - 3 * 3600, 2
            await let_pass(robot, loop_clock, spent_sec)
            while (await settled(life, execution, attempts=attempts)).status is WAITING:
                callback = await life.callbacks.state(execution)
                pause_sec = life.callbacks.next_attempt_in_sec(callback) or 0
                spent_sec += pause_sec
                attempts += 1
                await let_pass(robot, loop_clock, pause_sec)
            callback = await life.callbacks.state(execution)
            assert (callback.status, callback.last_status) == (FAILED, 500)
            assert DAY_SEC - 2 * 3600 < spent_sec <= DAY_SEC
            assert life.callbacks.figures['failed'] == 1


async def test_a_receiver_that_is_gone_is_asked_once(robot: Robot) -> None:
    """410 says that nobody will take it."""
    async with receiver(answers(410)) as told, robot.gateway() as life, sending(life):
        callback = await settled(life, await ended(life, url_of(told)), attempts=1)
    assert (callback.status, callback.last_status, callback.next_sec) == (FAILED, 410, None)


async def test_a_callback_can_be_sent_again(robot: Robot) -> None:
    """Failed, delivered, or before its time; with a day of its own, which is on record at once."""
    manners = answers_one_after_another(answers(410), answers(200), answers(500), answers(204))
    async with receiver(manners) as told, robot.gateway() as life, sending(life):
        execution = await ended(life, url_of(told))
        for number, status in enumerate((FAILED, DELIVERED, WAITING), 1):
            assert (await settled(life, execution, attempts=number)).status is status
            again = await life.callbacks.send_again(execution, actor=CLIENT)
            assert again.attempts >= number
        callback = await settled(life, execution, attempts=4)
        assert (callback.status, callback.last_status, callback.last_error) == (
            DELIVERED,
            204,
            None,
        )
    assert len({each.headers['webhook-id'] for each in told.told}) == 1


async def test_what_is_to_be_sent_again_is_on_record(robot: Robot) -> None:
    """A gateway that dies right after it said so leaves it to the next one."""
    async with receiver(answers_one_after_another(answers(410), answers(200))) as told:
        async with robot.gateway() as life, sending(life):
            execution = await ended(life, url_of(told))
            assert (await settled(life, execution, attempts=1)).status is FAILED
        async with robot.gateway() as life:
            await life.callbacks.send_again(execution, actor=CLIENT)
        async with robot.gateway() as life, sending(life):
            assert (await settled(life, execution, attempts=2)).status is DELIVERED


async def test_what_has_not_ended_is_not_sent(robot: Robot) -> None:
    """409 in words; and of what has no callback nothing can be sent."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution = await life.start(script_id, NOW, callback='http://127.0.0.1:9/')
        with pytest.raises(CallbackNotDue):
            await life.callbacks.send_again(execution, actor=CLIENT)
        plain = await ended(life, None)
        for ask in (
            life.callbacks.state(plain),
            life.callbacks.send_again(plain, actor=CLIENT),
        ):
            with pytest.raises(CallbackNotFound):
                await ask


async def test_a_callback_goes_with_its_execution(robot: Robot, loop_clock: LoopClock) -> None:
    """Who deletes wants nothing to be left, nor to be sent."""
    async with receiver(answers(500)) as told, robot.gateway() as life, sending(life):
        execution = await ended(life, url_of(told))
        await settled(life, execution, attempts=1)
        await life.executions.delete(
            execution.entity, execution.script_id, execution.id, actor=CLIENT
        )
        with pytest.raises(CallbackNotFound):
            await life.callbacks.state(execution)
        assert life.callbacks.figures['waiting'] == 0
        await let_pass(robot, loop_clock, 10)
        rows = await life.database.read(
            lambda connection: connection.execute('SELECT count(*) FROM callbacks').fetchone()
        )
        assert rows == (0,)
    assert len(told.told) == 1


async def test_a_dead_receiver_blocks_no_other(robot: Robot) -> None:
    """However many ends wait for it: two connections are all that it gets."""
    async with (
        receiver(hang) as dead,
        receiver(answers(200)) as told,
        robot.gateway() as life,
        sending(life),
    ):
        robot.max_executions = 100
        for _ in range(9):
            await ended(life, url_of(dead))
        execution = await ended(life, url_of(told))
        assert (await settled(life, execution, attempts=1)).status is DELIVERED
        await dead.wait_for(2)
        assert dead.connections == 2
        assert life.callbacks.figures['delivering'] == 2
        assert life.callbacks.figures['waiting'] == 7


async def test_the_end_of_the_gateway_leaves_nothing_open(robot: Robot) -> None:
    """Neither a task nor a connection; what was under way is not counted, and sent later."""
    async with receiver(answers_one_after_another(hang, answers(200))) as told:
        async with robot.gateway() as life:
            before = asyncio.all_tasks()
            async with sending(life):
                execution = await ended(life, url_of(told))
                await told.wait_for(1)
                assert (await life.callbacks.state(execution)).status is CallbackStatus.DELIVERING
            of_callbacks = [
                task.get_name()
                for task in asyncio.all_tasks() - before
                if 'callback' in task.get_name()
            ]
            assert of_callbacks == []
            async with asyncio.timeout(30):
                await told.gone.wait()
            assert (await life.callbacks.state(execution)).attempts == 0
        async with robot.gateway() as life, sending(life):
            assert (await settled(life, execution, attempts=1)).status is DELIVERED


async def test_an_end_that_is_heard_of_twice_is_told_once(robot: Robot) -> None:
    """Found on record by a gateway that begins to send, and heard of while that is under way."""
    async with (
        receiver(hang) as told,
        robot.gateway() as life,
        sending(life),
    ):
        execution = await ended(life, url_of(told))
        await told.wait_for(1)
        life.callbacks.on_event(life.listener.events[-1], life.listener.executions[execution.id])
        assert life.callbacks.figures['waiting'] == 0
        assert (await life.callbacks.state(execution)).status is CallbackStatus.DELIVERING


async def test_the_runs_of_a_schedule_are_told(robot: Robot) -> None:
    """Each by itself, and last that the schedule is no more."""
    async with receiver(answers(200)) as told:
        async with robot.gateway() as life, sending(life):
            script_id = await life.upload()
            schedule = await life.start(script_id, ExecutionType.ON_RESTART, callback=url_of(told))
        async with robot.gateway() as life, sending(life):
            run = (await life.all(script_id))[-1]
            assert run.parent == schedule.id
            await life.finish(run.id)
            await told.wait_for(1)
            await life.executions.stop(
                schedule.entity, script_id, schedule.id, StopAction.STOP, actor=CLIENT
            )
            await told.wait_for(2)
    ends = [(each.execution['id'], each.execution['status']) for each in told.told]
    assert ends == [(run.id, 'completed'), (schedule.id, 'terminated')]


async def test_an_attempt_that_cannot_be_recorded_is_recorded_later(
    robot: Robot, loop_clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked again after pauses; the callback is not sent again meanwhile."""
    asked_at = refuse(monkeypatch, 'keep', [StoreUnavailable('disk full')] * 2)
    async with receiver(answers(200)) as told, robot.gateway() as life, sending(life):
        execution = await ended(life, url_of(told))
        await told.wait_for(1)
        for _ in range(3):
            await loop_clock.advance(6)
        assert (await settled(life, execution, attempts=1)).status is DELIVERED
    assert [after - before >= RETRY_SEC for before, after in pairwise(asked_at)] == [True, True]
    assert len(told.told) == 1


async def test_an_attempt_that_is_never_recorded_is_made_again_by_the_next_gateway(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway ends all the same, without waiting for the store."""
    async with receiver(answers(200)) as told:
        with monkeypatch.context() as patch:
            asked_at = refuse(patch, 'keep', repeat(StoreUnavailable('disk full')))
            async with robot.gateway() as life, sending(life):
                execution = await ended(life, url_of(told))
                await wait_until(lambda: bool(asked_at), what='the store is asked')
                assert (await life.callbacks.state(execution)).status is DELIVERING
        async with robot.gateway() as life, sending(life):
            assert (await settled(life, execution, attempts=1)).status is DELIVERED
    assert len(told.told) == 2


async def test_a_store_that_only_another_start_helps_is_asked_once(
    robot: Robot, loop_clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read, or recorded, is left to the next gateway; what can be told is."""
    async with receiver(answers(200)) as told:
        async with robot.gateway() as life:
            earlier = await ended(life, url_of(told))
        with monkeypatch.context() as patch:
            read_at = refuse(patch, 'undelivered', repeat(StoreUnusable('corrupt')))
            kept_at = refuse(patch, 'keep', repeat(StoreUnusable('corrupt')))
            async with robot.gateway() as life, sending(life):
                execution = await ended(life, url_of(told))
                await told.wait_for(1)
                await wait_until(lambda: bool(kept_at), what='the store is asked')
                await loop_clock.advance(6)
                assert (len(read_at), len(kept_at)) == (1, 1)
                figures = life.callbacks.figures
                assert (figures['delivering'], figures['delivered']) == (0, 1)
        assert [each.execution['id'] for each in told.told] == [execution.id]
        async with robot.gateway() as life, sending(life):
            for each in (earlier, execution):
                assert (await settled(life, each, attempts=1)).status is DELIVERED
