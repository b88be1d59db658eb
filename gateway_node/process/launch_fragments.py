# SPDX-License-Identifier: Apache-2.0
"""Checks parameters against what a launch fragment declares.

Reading a fragment means executing it, in a child under supervision with a deadline. How that went
is remembered for the version and the environment, failures too. But a fragment includes, imports
and reads what has no version: what is remembered lets a start through, and refuses one for a
moment only. Who asks has been admitted before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any

from gateway_node.child.contract import launch_arguments
from gateway_node.clock import Clock
from gateway_node.executions.errors import KindNotAvailable, RunnerUnavailable, SpawnFailed
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.masking import names_in
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.strict_json import pointer_token
from gateway_node.violations import Violation

_log = logging.getLogger(__name__)

_REMEMBERED = 256
READING_TIMEOUT_SEC = 15.0
_AT_ONCE = 2
"""Fragments that are read at one moment."""
_REFUSES_SEC = 1.0
"""How long a reading is new enough to refuse a start, so that a client which tries again and again
does not have a fragment executed as often."""

_Key = tuple[Path, str]


@dataclass(frozen=True, kw_only=True)
class DeclaredArgument:
    """A launch argument of a fragment."""

    name: str
    required: bool
    choices: tuple[str, ...]
    """Empty where anything is allowed."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """All launch arguments of a fragment."""

    arguments: tuple[DeclaredArgument, ...]
    complete: bool
    """False where others may be declared while it runs."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What a reading found, and when."""

    declaration: Declaration | None
    failure: str
    """Why there is no declaration; empty where there is one."""
    at: float
    """By the monotonic clock."""


Describe = Callable[[Script, ScriptWorld], Awaitable[Outcome]]
"""Runs the program that tells what a fragment declares, as its result."""


class LaunchFragments:
    """What the fragments declare."""

    def __init__(self, describe: Describe, clock: Clock) -> None:
        self._describe = describe
        self._clock = clock
        self._world: ScriptWorld | None = None
        self._known: dict[_Key, _Reading] = {}
        self._readings: dict[_Key, asyncio.Task[Declaration | None]] = {}
        """Those in the present environment."""
        self._under_way: set[asyncio.Task[Declaration | None]] = set()
        """Those in earlier ones too: who waits for them gets an answer."""
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def check(
        self,
        script: Script,
        parameters: Mapping[str, Any],
        world: ScriptWorld,
        secrets: Iterable[str] = (),
    ) -> None:
        """Raise where the fragment cannot run, or does not take the parameters.

        A fragment that cannot be read is let through: its execution then says why. What would be
        refused by a reading that is not new is read anew. `secrets`, JSON Pointers, are not told.

        Raises:
            KindNotAvailable: the environment's Python has no `launch`.
            ParametersInvalid: an argument is missing, or not among its choices.
            RunnerUnavailable: nothing can be started at the moment.
        """
        if 'launch' not in world.modules:
            raise KindNotAvailable(
                ScriptKind.LAUNCH,
                f'{world.interpreters.python} finds no module launch; it comes with a ROS '
                'distribution, which environment.setup_files has to name',
            )
        if self._world is not world:
            self._known.clear()
            self._readings.clear()
            self._world = world
        key = (script.runs_from, script.version)
        given = launch_arguments(parameters)
        secret = names_in(secrets, parameters)
        known = self._known.get(key)
        violations = (
            argument_violations(known.declaration, given, secret) if known is not None else []
        )
        is_new = known is not None and self._clock.monotonic() < known.at + _REFUSES_SEC
        if known is None or (violations and not is_new):
            declaration = await self._reading(key, script, world)
            violations = argument_violations(declaration, given, secret)
        if violations:
            raise ParametersInvalid(violations[0].reason, tuple(violations))

    def warnings(self, script: Script, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a sentence for each parameter that a checked fragment surely does not declare.

        One alone where the fragment could not be read: nothing was checked then.
        """
        known = self._known.get((script.runs_from, script.version))
        if known is None:
            return ()
        if known.declaration is None:
            return (f'the arguments of the launch fragment could not be read: {known.failure}',)
        return undeclared_warnings(known.declaration, launch_arguments(parameters))

    async def close(self) -> None:
        """Give up what is being read: nobody starts it any more."""
        readings = tuple(self._under_way)
        for reading in readings:
            reading.cancel()
        if readings:
            await asyncio.wait(readings)

    async def _reading(self, key: _Key, script: Script, world: ScriptWorld) -> Declaration | None:
        if key not in self._readings:
            reading = self._readings[key] = asyncio.create_task(self._read(key, script, world))
            self._under_way.add(reading)
            reading.add_done_callback(lambda done: self._note_read(key, done))
        # Others may wait for the same reading.
        return await asyncio.shield(self._readings[key])

    def _note_read(self, key: _Key, done: 'asyncio.Task[Declaration | None]') -> None:
        self._under_way.discard(done)
        if self._readings.get(key) is done:
            del self._readings[key]
        if not done.cancelled():
            # Whoever waits hears of an error; nobody has to.
            done.exception()

    async def _read(self, key: _Key, script: Script, world: ScriptWorld) -> Declaration | None:
        try:
            async with self._turn:
                outcome = await self._describe(script, world)
        except (OSError, SpawnFailed) as error:
            raise RunnerUnavailable(f'the launch fragment cannot be read: {error}') from error
        declaration = _declaration_of(outcome)
        failure = '' if declaration is not None else _failure_of(outcome)
        if failure:
            _log.info('a launch fragment cannot be read: script %s, %s', script.id, failure)
        if self._world is world:
            self._known.pop(key, None)
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = _Reading(
                declaration=declaration, failure=failure, at=self._clock.monotonic()
            )
        return declaration


def _declaration_of(outcome: Outcome) -> Declaration | None:
    """Return what a reading found; None where it failed, or where the fragment spoke for it."""
    if outcome.exit_code != 0 or outcome.result is None:
        return None
    try:
        return parse_declaration(outcome.result)
    except (KeyError, TypeError):
        return None


def _failure_of(outcome: Outcome) -> str:
    """Return in a few words why a reading found nothing."""
    if outcome.cause is EndCause.TIMED_OUT:
        return f'that took longer than {READING_TIMEOUT_SEC:g} s'
    if outcome.limit is not None:
        return f'that used more than {outcome.limit.value:g} ({outcome.limit.name})'
    if outcome.result is not None and isinstance(outcome.result.get('failed'), str):
        return str(outcome.result['failed'])
    if outcome.signal is not None:
        return f'its process died of signal {outcome.signal}'
    return outcome.message or f'its process exited with {outcome.exit_code}'


def parse_declaration(description: Mapping[str, Any]) -> Declaration:
    """Return what `launch_sequence describe` told; KeyError, TypeError where it did not."""
    return Declaration(
        arguments=tuple(
            DeclaredArgument(
                name=str(argument['name']),
                required=bool(argument['required']),
                choices=tuple(map(str, argument['choices'] or ())),
            )
            for argument in description['arguments']
        ),
        complete=bool(description['complete']),
    )


def argument_violations(
    declaration: Declaration | None,
    given: Sequence[tuple[str, str]],
    secret: Container[str] = frozenset(),
) -> list[Violation]:
    """Return how the given launch arguments do not fit the declared ones; of none known, all fit.

    They can be missing, or not among their choices. The values of `secret` ones are not told.
    """
    if declaration is None:
        return []
    declared = {argument.name: argument for argument in declaration.arguments}
    violations = [
        Violation(
            path='',
            reason=f'the launch argument {argument.name!r} is required and not given',
        )
        for argument in declaration.arguments
        if argument.required and argument.name not in dict(given)
    ]
    for name, value in given:
        choices = declared[name].choices if name in declared else ()
        if choices and value not in choices:
            subject = 'what is given is secret, and' if name in secret else repr(value[:80])
            reason = f'{subject} is not allowed; allowed: {", ".join(choices)}'
            violations.append(Violation(path=f'/{pointer_token(name)}', reason=reason))
    return violations


def undeclared_warnings(
    declaration: Declaration, given: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    """Return a sentence for each given argument that is surely not declared.

    Launch takes it, for what does not declare an argument can read it all the same; but most often
    it is mistyped.
    """
    if not declaration.complete:
        return ()
    names = [argument.name for argument in declaration.arguments]
    known = ', '.join(names) or 'none'
    return tuple(
        f'the launch argument {name!r} is not declared by the fragment; declared: {known}'
        for name, _ in given
        if name not in names
    )
