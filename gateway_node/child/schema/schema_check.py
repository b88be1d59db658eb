# SPDX-License-Identifier: Apache-2.0
"""A process that checks JSON Schemas from outside, and parameters against them.

It reads one request a line from stdin and writes one answer a line to stdout, both JSON:

    {"schema": {...}}                       is this a schema that a script may have?
    {"schema": {...}, "parameters": {...}}  do these parameters match it?
    {"violations": [["/path", "reason"], ...], "secrets": ["/path", ...]}

No answer quotes a secret of the parameters.

Whoever started it kills it when an answer takes too long: a regular expression in a schema can
take for ever, and nothing inside a process can interrupt one. The rules are pure functions. What
the schema language means is JSON Schema 2020-12 (json-schema.org/draft/2020-12), as far as
`jsonschema` implements it.
"""

from collections.abc import Iterable, Iterator, Mapping
import copy
from decimal import Context, Decimal
import inspect
import itertools
import json
import resource
import signal
import sys
from typing import Any, NamedTuple
from urllib.parse import unquote

from jsonschema import Draft202012Validator, exceptions, validators

from gateway_node import inspection
from gateway_node.child.messages import MAX_VIOLATIONS, SchemaAnswer, SchemaQuestion, Violations
from gateway_node.child.schema.schema_walk import pointer_token, SchemaWalk
from gateway_node.child.schema.secret_places import SecretPlaces
from gateway_node.strict_json import check, clip, JsonRefused, MAX_DIGITS

MAX_SCHEMA_BYTES = 64 * 1024
"""Bytes of a schema as compact JSON."""

_EXACT = Context(prec=MAX_DIGITS + 400)
"""Holds the quotient of any two numbers that are taken; the least double is 5e-324."""


def schema_violations(schema: Any) -> Violations:
    """Return what keeps `schema` from being a script's parameters_schema."""
    size = len(json.dumps(schema, separators=(',', ':')))
    if size > MAX_SCHEMA_BYTES:
        return [('', f'has {size} bytes; allowed: at most {MAX_SCHEMA_BYTES}')]
    if refusal := _refusal(schema):
        return refusal
    # Named first: a schema of another dialect would fail the meta-schema for reasons of its own.
    walk = SchemaWalk(copy.deepcopy(schema))
    if any(path == '/$schema' for path, _ in walk.violations):
        return walk.violations[: MAX_VIOLATIONS + 1]
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    violations = _told(meta.iter_errors(schema))
    if not violations:
        walk.resolve()
    return [*violations, *walk.violations][: MAX_VIOLATIONS + 1]


class Checked(NamedTuple):
    """What a check of parameters found."""

    violations: Violations
    secrets: tuple[str, ...] = ()
    """JSON Pointers."""


def check_parameters(schema: Any, parameters: Any) -> Checked:
    """Return where `parameters` do not match `schema`, which was accepted before, and where in
    them secrets are.

    Raises:
        ValueError: the schema would not have been accepted.
    """
    if refusal := _refusal(parameters):
        return Checked(refusal)
    walk = SchemaWalk(copy.deepcopy(schema))
    walk.resolve()
    if walk.violations:
        raise ValueError(f'the parameters_schema{walk.violations[0][0]} {walk.violations[0][1]}')
    places = SecretPlaces(walk, parameters)
    violations = places.violations[: MAX_VIOLATIONS + 1]
    if not violations:
        violations = _told(_validator(walk).iter_errors(parameters), places)
    return Checked(violations, places.pointers)


def _refusal(document: Any) -> Violations:
    try:
        check(document)
    except JsonRefused as error:
        return [(error.pointer, error.reason)]
    return []


def _multiple_of(
    validator: Any, factor: float, value: Any, _: Any
) -> Iterator[exceptions.ValidationError]:
    """Check `multipleOf` as people write numbers: 0.3 is three times 0.1.

    As doubles they are not (0.1 is none, and 0.3 / 0.1 is 2.9999999999999996).
    """
    if not validator.is_type(value, 'number'):
        return
    # The shortest text that means a double is what was written, up to 15 digits.
    if _EXACT.remainder(Decimal(repr(value)), Decimal(repr(factor))):
        yield exceptions.ValidationError(f'{value!r} is not a multiple of {factor!r}')


_extend: Any = validators.extend  # whose stub has no types
_Validator = _extend(Draft202012Validator, {'multipleOf': _multiple_of})
_inherited_descend = _Validator.descend


def _descend(
    validator: Any, instance: Any, schema: Any, path: Any = None, *others: Any, **named: Any
) -> Iterator[exceptions.ValidationError]:
    """Check a part of a value; newer versions of jsonschema forget which, where nothing fits."""
    for error in _inherited_descend(validator, instance, schema, path, *others, **named):
        if schema is False and path is not None and not error.path:
            error.path.appendleft(path)
        yield error


_Validator.descend = _descend


class _WithinSchema:
    """Resolves the references of a walked schema; stands in for a `jsonschema.RefResolver`."""

    def __init__(self, walk: SchemaWalk) -> None:
        self._nodes = walk.nodes

    def resolve(self, reference: str) -> tuple[str, Any]:
        """Return the scope, of which there is one only, and the subschema."""
        return '', self._nodes[unquote(reference[1:])]

    def push_scope(self, scope: str) -> None:
        """Enter a scope; there is one only."""

    def pop_scope(self) -> None:
        """Leave a scope."""


def _validator(walk: SchemaWalk) -> Any:
    """Return a validator that resolves within the schema and has no way to look elsewhere.

    jsonschema 4.18 and newer take a `registry`, and open URLs without one; older ones take a
    `resolver`, and theirs opens URLs too.
    """
    if 'registry' in inspect.signature(_Validator).parameters:
        from referencing import Registry

        return _Validator(walk.root, registry=Registry())
    return _Validator(walk.root, resolver=_WithinSchema(walk))


_VALUES_BEHIND = {'items': ' but found', 'unevaluatedItems': ' ('}
"""Where in the messages of these keywords values begin that cannot be told apart."""


_NAMES_ONLY = frozenset({'required', 'dependentRequired', 'additionalProperties'})
"""Keywords whose messages quote names of an object, and nothing that stands under them."""


def _told(errors: Iterable[Any], secrets: SecretPlaces | None = None) -> Violations:
    return [_violation(each, secrets) for each in itertools.islice(errors, MAX_VIOLATIONS + 1)]


def _violation(error: Any, secrets: SecretPlaces | None) -> tuple[str, str]:
    """Return the place of an error and its reason, which quotes no secret."""
    place = ''.join(f'/{pointer_token(token)}' for token in error.absolute_path)
    misfit = f'and does not fit its {error.validator or "schema"}'
    if secrets is not None and (secret := secrets.around(place)) is not None:
        return clip(secret), f'is a secret, {misfit}'
    if secrets is not None and secrets.are_below(place) and error.validator not in _NAMES_ONLY:
        return clip(place), f'holds a secret, {misfit}'
    return clip(place), clip(_reason(error))


def _reason(error: Any) -> str:
    """Return a message in which values stand as in JSON; texts stay in single quotes."""
    message: str = error.message
    if error.validator in _VALUES_BEHIND:
        return message.partition(_VALUES_BEHIND[error.validator])[0].rstrip(',')
    for value in (error.instance, error.validator_value):
        of_python = repr(value)
        if isinstance(value, str):
            continue
        if message.startswith(of_python):
            message = _json(value) + message.removeprefix(of_python)
        if message.endswith(of_python):
            message = message.removesuffix(of_python) + _json(value)
    return message


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def answer(question: SchemaQuestion) -> SchemaAnswer:
    """Return what a line is answered with; `failed` where the check itself did."""
    try:
        if 'parameters' in question:
            checked = check_parameters(question['schema'], question['parameters'])
            secrets = SchemaAnswer(secrets=checked.secrets) if checked.secrets else {}
            return SchemaAnswer(violations=checked.violations, **secrets)
        return {'violations': schema_violations(question['schema'])}
    except RecursionError:
        return {'failed': 'it nests too deep'}
    except (MemoryError, SystemError):
        # Code in C that gets no memory may forget to say so.
        return {'failed': 'it needs too much memory'}
    except Exception as error:  # whatever a schema makes jsonschema stumble over
        text = '' if _has_secrets(question) else f': {error}'
        return {'failed': clip(f'{type(error).__name__}{text}')}


def _has_secrets(question: SchemaQuestion) -> bool:
    """Tell whether what goes wrong with a question may be told in words that quote a secret."""
    schema = json.dumps(question.get('schema'))
    return 'parameters' in question and ('writeOnly' in schema or 'password' in schema)


def main(arguments: list[str]) -> None:
    """Answer requests until stdin ends; the arguments are MiB of memory and seconds a check.

    The seconds are a second line of defence: where the gateway died and can kill nobody any
    more, SIGALRM's default action ends a check that does not.
    """
    memory_mb, seconds = (int(argument) for argument in arguments)
    inspection.forbid_unless_hidden()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A gateway that was killed hears no answer, and nobody wants to read of that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.setrecursionlimit(5000)
    # Once everything, so that nothing is left to import or to load when files are out of reach.
    sample = {'$ref': '#/$defs/a', '$defs': {'a': {'type': 'object', 'pattern': 'a'}}}
    for question in (
        SchemaQuestion(schema=sample),
        SchemaQuestion(schema=sample, parameters={'a': 1}),
    ):
        if (answered := answer(question)).get('violations') != []:
            sys.exit(f'the check does not work here: {answered}')
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))
    # No file and no socket can be opened from here on (getrlimit(2): one more than the greatest).
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    _say({'ready': True})
    for line in sys.stdin:
        signal.alarm(seconds)
        _say(answer(json.loads(line)))
        signal.alarm(0)


def _say(message: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + '\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main(sys.argv[1:])
