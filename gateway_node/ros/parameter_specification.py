# SPDX-License-Identifier: Apache-2.0
"""One parameter: what there is to say of it, and the check of its values; knows no rclpy."""

from dataclasses import dataclass
import enum
import math
import re
from typing import cast

from gateway_node.ros.errors import ParameterInvalid

ParameterValue = str | int | float | bool | tuple[str, ...]


class ParameterType(enum.Enum):
    """What a parameter holds; the value is the word that messages and docs use."""

    STRING = 'string'
    """Text without control characters."""
    INTEGER = 'integer'
    """A whole number."""
    NUMBER = 'number'
    """A whole or fractional number, kept as a double; `2` and `2.0` are the same."""
    BOOLEAN = 'boolean'
    """true or false."""
    STRING_ARRAY = 'string array'
    """Texts; unset, `[]` and `['']` all mean none."""


@dataclass(frozen=True, kw_only=True)
class ParameterSpecification:
    """One parameter: what it is called, what it holds and what it means."""

    name: str
    type: ParameterType
    description: str
    """One sentence; a default that is derived from others is told here."""
    default: ParameterValue | None = None
    """None where the default is derived."""
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    zero_is_none: bool = False
    """True where 0 is allowed too, whatever the minimum, and sets no bound."""
    form: str = ''
    """What a string must look like, for a person."""
    pattern: str = ''
    """What a string must look like, as a regular expression that matches all of it."""
    read_only: bool = True

    @property
    def allowed(self) -> str:
        """What values are allowed, for messages and docs."""
        zero = '0, or ' if self.zero_is_none else ''
        match self.type:
            case ParameterType.INTEGER:
                return f'{zero}a whole number from {self.minimum:.16g} to {self.maximum:.16g}'
            case ParameterType.NUMBER:
                return f'{zero}a number from {self.minimum:.16g} to {self.maximum:.16g}'
            case ParameterType.BOOLEAN:
                return 'true or false'
            case ParameterType.STRING_ARRAY:
                return self.form or 'strings'
            case ParameterType.STRING:
                return self.form or 'a string'

    def checked(self, value: object) -> ParameterValue:
        """Return `value` in the parameter's type; ParameterInvalid."""
        match self.type:
            case ParameterType.BOOLEAN:
                fits = isinstance(value, bool)
            case ParameterType.INTEGER:
                fits = isinstance(value, int) and self._in_range(value)
            case ParameterType.NUMBER:
                fits = isinstance(value, int | float) and self._in_range(value)
                value = float(cast(float, value)) if fits else value
            case ParameterType.STRING:
                fits = self._is_text(value)
            case ParameterType.STRING_ARRAY:
                fits = isinstance(value, list | tuple) and all(map(self._is_text, value))
                value = tuple(filter(None, cast(list[str], value))) if fits else value
        if not fits:
            raise ParameterInvalid(self.name, value, self.allowed)
        return cast(ParameterValue, value)

    def _in_range(self, value: float) -> bool:
        if isinstance(value, bool) or not math.isfinite(value):
            return False
        if value == 0 and self.zero_is_none:
            return True
        return cast(float, self.minimum) <= value <= cast(float, self.maximum)

    def _is_text(self, value: object) -> bool:
        if not isinstance(value, str) or any(ord(char) < 32 or ord(char) == 127 for char in value):
            return False
        return not self.pattern or re.fullmatch(self.pattern, value) is not None
