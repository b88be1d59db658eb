# SPDX-License-Identifier: Apache-2.0
"""Errors of the entity room."""

from gateway_node.entities.values import EntityRef


class EntityNotFound(Exception):
    """No entity has this reference."""

    def __init__(self, ref: EntityRef) -> None:
        super().__init__(f'no entity {ref.path!r}')
        self.ref = ref


class AreaNotFound(Exception):
    """No area has this id."""

    def __init__(self, area_id: str) -> None:
        super().__init__(f'no area {area_id!r}')
        self.area_id = area_id


class FunctionNotFound(Exception):
    """No function has this id."""

    def __init__(self, function_id: str) -> None:
        super().__init__(f'no function {function_id!r}')
        self.function_id = function_id
