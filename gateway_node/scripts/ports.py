# SPDX-License-Identifier: Apache-2.0
"""The port through which schemas from outside are checked.

A schema comes from a client and may be made to hang whoever evaluates it, so no room evaluates
one in the gateway's own process; `process.schema_worker` does it in children with a deadline.
What a schema may be stands in `child/schema/schema_check.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class SchemaChecker(Protocol):
    """Checks parameters_schemas, and parameters against them, in bounded time."""

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """Return where `schema` is one that a script may have.

        Raises:
            ScriptRefused: with the violations as JSON Pointers into `schema`.
            SchemaCheckUnavailable: nothing can be checked at the moment.
        """

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Sequence[str]:
        """Return where in `parameters` secrets are, as JSON Pointers, where they match `schema`.

        A secret is what the schema marks with `writeOnly`, or with `password` as its format. No
        error quotes one.

        Raises:
            ParametersInvalid: with the violations as JSON Pointers into `parameters`; also where
                the check takes too long.
            SchemaCheckUnavailable: nothing can be checked at the moment.
        """
