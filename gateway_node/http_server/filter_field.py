# SPDX-License-Identifier: Apache-2.0
"""The filters of lists of executions, as a member of a JSON body."""

from typing import Any

from gateway_node.executions.documents import to_text
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.fields import Field, refused, ValueRefused
from gateway_node.http_server.query_fields import Several
from gateway_node.http_server.takes import Taken, taken_by
from gateway_node.strict_json import pointer_token
from gateway_node.violations import Violation

_SHOWN = 80
"""Characters of an unknown name that an answer repeats."""


class Filter(Field[ExecutionQuery]):
    """An object whose members are named as the filters of lists are, and have JSON values.

    Where a filter takes several values, it is one of them or a list.
    """

    def __init__(self) -> None:
        taken = taken_by(ExecutionQuery)
        self._plain = {each.name: each for each in taken if not each.is_family}
        (self._family,) = (each for each in taken if each.is_family)

    def read(self, value: object) -> ExecutionQuery:
        """Return what is searched by; every value that is wrong is told."""
        if not isinstance(value, dict):
            raise refused('is no JSON object')
        values = {each.attribute: each.default for each in self._plain.values()}
        family: dict[str, Any] = {}
        wrong: list[Violation] = []
        for name, given in value.items():
            try:
                if (taken := self._plain.get(name)) is not None:
                    values[taken.attribute] = _read(taken, given)
                else:
                    family[self._rest_of(name)] = _read(self._family, _as_texts(given))
            except ValueRefused as error:
                at = f'/{pointer_token(name[:_SHOWN])}'
                wrong += (Violation(path=at + v.path, reason=v.reason) for v in error.violations)
        if len(family) > self._family.max_names:
            wrong.append(_too_many(self._family, len(family)))
        if wrong:
            raise ValueRefused(*wrong)
        values[self._family.attribute] = family
        return ExecutionQuery(**values)

    def _rest_of(self, name: str) -> str:
        """Return what a name of the family has behind its prefix."""
        rest = name.removeprefix(self._family.name)
        if rest == name or not rest:
            allowed = ', '.join([*self._plain, self._family.shown_name])
            raise refused(f'is unknown; allowed: {allowed}')
        return rest

    def schema(self) -> dict[str, Any]:
        """Tell the members."""
        return {
            'type': 'object',
            'properties': {name: _schema(taken) for name, taken in self._plain.items()},
            'patternProperties': {
                f'^{self._family.name.replace(".", "[.]")}.': _schema(self._family)
            },
            'additionalProperties': False,
        }


def _read(taken: Taken, given: object) -> Any:
    if isinstance(taken.field, Several) and not isinstance(given, list):
        given = [given]
    return taken.field.read(given)


def _as_texts(given: object) -> list[str]:
    """Return values of parameters as they are searched for: texts as they are, all else as
    JSON."""
    values = given if isinstance(given, list) else [given]
    return [each if isinstance(each, str) else to_text(each) for each in values]


def _too_many(taken: Taken, names: int) -> Violation:
    reason = f'is given for {names} names; allowed: {taken.max_names}'
    return Violation(path=f'/{pointer_token(taken.shown_name)}', reason=reason)


def _schema(taken: Taken) -> dict[str, Any]:
    schema = taken.field.schema()
    if isinstance(taken.field, Several):
        schema = {'anyOf': [schema['items'], schema]}
    return schema | {'description': taken.about}
