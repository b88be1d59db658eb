# SPDX-License-Identifier: Apache-2.0
"""A schema checker that says what a test tells it."""

from collections.abc import Mapping, Sequence
from typing import Any


class FakeSchemaChecker:
    """A `SchemaChecker` that accepts everything until a test says otherwise."""

    def __init__(self) -> None:
        self.schema_error: Exception | None = None
        """What `check_schema` raises."""
        self.parameters_error: Exception | None = None
        """What `check_parameters` raises."""
        self.checked: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        """Every pair of schema and parameters that was checked."""

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """Raise `schema_error` where a test set one."""
        if self.schema_error is not None:
            raise self.schema_error

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Sequence[str]:
        """Raise `parameters_error` where a test set one; what the schema's own `properties` mark
        is a secret."""
        self.checked.append((schema, parameters))
        if self.parameters_error is not None:
            raise self.parameters_error
        marked = schema.get('properties', {})
        return [f'/{name}' for name in parameters if marked.get(name, {}).get('writeOnly')]
