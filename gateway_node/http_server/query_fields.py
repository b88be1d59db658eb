# SPDX-License-Identifier: Apache-2.0
"""The kinds of values by which lists are searched."""

from collections.abc import Callable, Sequence
import datetime
import re
from typing import Any, TypeVar

from gateway_node.entities.names import ID_PATTERN
from gateway_node.entities.values import EntityType
from gateway_node.executions.filters import InstanceFilter, TriggerFilter
from gateway_node.executions.values import TriggerType
from gateway_node.http_server.fields import Choice, Field, refused, shown, ValueRefused
from gateway_node.violations import Violation

T = TypeVar('T')

MAX_VALUES = 100
"""Of one name."""
MAX_TEXTS = 20
"""The same where values are texts: what aiohttp takes as a target ends at 8190 bytes."""
MAX_TEXT = 255
"""Characters of a text that is searched for; no name has more."""
MAX_PATH = 267
"""Of the path of an entity: `components/`, and an id."""

_TOKEN = re.compile(r'\\[\\,]|.', re.DOTALL)
_PLAIN = r'(?:\\[\\,]|\\(?![\\,])|[^\\,\u0000])+'
"""A text of a list, as it is written: commas are behind a backslash."""

_PATH = f'(?:{"|".join(kind.value for kind in EntityType)})/{ID_PATTERN}'
_GLOB = r'[A-Za-z0-9_.?*/-]*[?*][A-Za-z0-9_.?*/-]*'
_ENTITY = re.compile(f'{_PATH}|{_GLOB}')

_INSTANCE = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]{0,63}')
"""The name of an instance."""

_MOMENT = re.compile(
    r'([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]+))?'
    r'(?:[Zz]|([-+ ])([0-9]{2}:[0-9]{2}))'
)
_EARLIEST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_NO_YEAR = '0000'
"""RFC 3339 has it, and Python has not."""


class Several(Field[frozenset[T]]):
    r"""One value or several: a name repeated, or commas between them.

    A comma in a value is written `\,`, and a backslash in front of a comma or of another one
    `\\`. Without `commas` each text is one value as it is.
    """

    def __init__(
        self, kind: Field[T], max_values: int = MAX_VALUES, *, commas: bool = True
    ) -> None:
        self._kind = kind
        self._max_values = max_values
        self._commas = commas

    def read(self, value: object) -> frozenset[T]:
        """Return the values of a list; every one that is wrong is told."""
        if not isinstance(value, list) or not value:
            raise refused(f'is no list of values; allowed: 1 to {self._max_values} in a list')
        return self._all(value, self._kind.read)

    def read_texts(self, texts: list[str]) -> frozenset[T]:
        """Return the values of all texts; every one that is wrong is told."""
        written = [piece for text in texts for piece in _pieces(text)] if self._commas else texts
        return self._all(written, self._kind.read_text)

    def _all(self, written: list[Any], read: Callable[[Any], T]) -> frozenset[T]:
        if len(written) > self._max_values:
            raise refused(f'has {len(written)} values; allowed: {self._max_values}')
        values: set[T] = set()
        wrong: list[Violation] = []
        for each in written:
            try:
                values.add(read(each))
            except ValueRefused as error:
                wrong += error.violations
        if wrong:
            raise ValueRefused(*wrong)
        return frozenset(values)

    def schema(self) -> dict[str, Any]:
        """Tell the values, and how many there may be."""
        return {
            'type': 'array',
            'items': self._kind.schema(),
            'minItems': 1,
            'maxItems': self._max_values,
        }


def _pieces(text: str) -> list[str]:
    """Return what stands between the commas of a text that have no backslash."""
    if '\\' not in text:
        return text.split(',')
    pieces = ['']
    for token in _TOKEN.findall(text):
        if token == ',':
            pieces.append('')
        else:
            pieces[-1] += token[-1]
    return pieces


class SearchText(Field[str]):
    """A text that is searched for; `listed`, one of several between commas."""

    def __init__(self, max_length: int = MAX_TEXT, *, listed: bool = False) -> None:
        self._max_length = max_length
        self._listed = listed

    def read(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str) or '\0' in value or not 0 < len(value) <= self._max_length:
            raise refused(f'is {shown(value)}; allowed: 1 to {self._max_length} characters')
        return value

    def schema(self) -> dict[str, Any]:
        """Tell how long it may be, and where it is one of several how those are told apart."""
        several = f'{_PLAIN}(?:,{_PLAIN})*' if self._listed else r'[^\u0000]+'
        return {'type': 'string', 'maxLength': self._max_length, 'pattern': f'^{several}$'}


class EntityPattern(Field[str]):
    """The path of an entity, or a pattern of such paths."""

    def read(self, value: object) -> str:
        """Return the path or the pattern."""
        if not isinstance(value, str) or not _is_short(value) or not _ENTITY.fullmatch(value):
            raise refused(
                f'is {shown(value)}; allowed: a path such as apps/temp_sensor, or a pattern of '
                'paths, where * is any text and ? one character'
            )
        return value

    def schema(self) -> dict[str, Any]:
        """Tell the form."""
        return {'type': 'string', 'maxLength': MAX_PATH, 'pattern': f'^(?:{_PATH}|{_GLOB})$'}


def _is_short(text: str) -> bool:
    return len(text) <= MAX_PATH


class TriggerText(Field[TriggerFilter]):
    """The type of a trigger, and behind a colon what of it, where that is named."""

    def __init__(self) -> None:
        self._type = Choice(TriggerType)

    def read(self, value: object) -> TriggerFilter:
        """Return what is searched for."""
        name, colon, setting = value.partition(':') if isinstance(value, str) else (value, '', '')
        kind = self._type.read(name)
        if colon and not 0 < len(setting) <= MAX_TEXT:
            raise refused(
                f'is {shown(value)}; allowed behind the colon: 1 to {MAX_TEXT} characters'
            )
        return TriggerFilter(type=kind, setting=setting or None)

    def schema(self) -> dict[str, Any]:
        """Tell the types; a setting in a list has no comma."""
        types = '|'.join(self._type.values)
        return {'type': 'string', 'pattern': f'^(?:{types})(?::[^\\\\,\\u0000]{{1,{MAX_TEXT}}})?$'}


class InstanceText(Field[InstanceFilter]):
    """The id or the name of a script, a colon, and the name of an instance of it."""

    def read(self, value: object) -> InstanceFilter:
        """Return what is searched for; the last colon counts."""
        script, _, name = value.rpartition(':') if isinstance(value, str) else ('', '', '')
        if not 0 < len(script) <= MAX_TEXT or not _INSTANCE.fullmatch(name) or '\0' in script:
            raise refused(
                f'is {shown(value)}; allowed: the id or the name of a script, a colon, and the '
                'name of an instance of it'
            )
        return InstanceFilter(script=script, name=name)

    def schema(self) -> dict[str, Any]:
        """Tell the form; as one of several, where commas of a script's name are escaped."""
        several = f'{_PLAIN}:{_INSTANCE.pattern}'
        pattern = f'^{several}(?:,{several})*$'
        return {'type': 'string', 'pattern': pattern}


class Moment(Field[datetime.datetime]):
    """A moment, with its offset from UTC (RFC 3339).

    A day alone is none: nobody could tell where it begins. A `+` that a form made a space is
    understood.
    """

    def read(self, value: object) -> datetime.datetime:
        """Return the moment in UTC."""
        found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
        try:
            if found is None:
                raise ValueError
            return _moment(*found.groups())
        except ValueError:
            raise refused(
                f'is {shown(value)}; allowed: a time with its offset from UTC (RFC 3339), such as '
                '2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00, where + is written %2B'
            ) from None

    def schema(self) -> dict[str, Any]:
        """Tell the form."""
        return {'type': 'string', 'format': 'date-time'}


def _moment(
    date: str, time: str, second: str, fraction: str | None, sign: str | None, offset: str | None
) -> datetime.datetime:
    """Put a moment together; ValueError where there is none such, as on February 30."""
    # Python has no leap second.
    leap = second == '60'
    east = {'-': '-', None: '+'}.get(sign, '+') + (offset or '00:00')
    year = date.replace(_NO_YEAR, '0004', 1) if date.startswith(_NO_YEAR) else date
    moment = datetime.datetime.fromisoformat(
        f'{year}T{time}:{"59" if leap else second}.{(fraction or "")[:6]:0<6}{east}'
    )
    if date.startswith(_NO_YEAR):
        return _EARLIEST
    try:
        return moment.astimezone(datetime.UTC) + datetime.timedelta(seconds=leap)
    except OverflowError:
        return _EARLIEST if date.startswith('0001') else _LATEST


class Columns(Field[tuple[str, ...]]):
    """Names of columns, with commas between them or one after the other."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def read(self, value: object) -> tuple[str, ...]:
        """Return the names, each once and in the order of the list."""
        if not isinstance(value, list) or not value:
            raise refused('is no list of names')
        wrong = [
            Violation(path='', reason=f'is {shown(each)}; allowed: {", ".join(self._names)}')
            for each in value
            if each not in self._names
        ]
        if wrong:
            raise ValueRefused(*wrong)
        return tuple(dict.fromkeys(value))

    def read_texts(self, texts: list[str]) -> tuple[str, ...]:
        """Return the names of all texts."""
        return self.read([name for text in texts for name in text.split(',')])

    def schema(self) -> dict[str, Any]:
        """Tell the names."""
        return {'type': 'array', 'items': {'enum': list(self._names)}, 'minItems': 1}


class AddedColumns(Field[tuple[str, ...]]):
    """Columns that are made of a name: a kind, a dot and that; written as several values are."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        self._form = re.compile(rf'(?:{"|".join(kinds)})\.[^\0]+', re.DOTALL)

    def read(self, value: object) -> tuple[str, ...]:
        """Return the columns, each once and in the order of the list."""
        if not isinstance(value, list) or not value:
            raise refused('is no list of columns')
        columns = tuple(dict.fromkeys(map(str, value)))
        if len(columns) > MAX_VALUES:
            raise refused(f'has {len(columns)} columns; allowed: {MAX_VALUES}')
        allowed = ', '.join(f'{kind}.NAME' for kind in self._kinds)
        wrong = [
            Violation(path='', reason=f'is {shown(each)}; allowed: {allowed}')
            for each in columns
            if len(each) > MAX_TEXT or not self._form.fullmatch(each)
        ]
        if wrong:
            raise ValueRefused(*wrong)
        return columns

    def read_texts(self, texts: list[str]) -> tuple[str, ...]:
        """Return the columns of all texts."""
        return self.read([column for text in texts for column in _pieces(text)])

    def schema(self) -> dict[str, Any]:
        """Tell their form, and how many there may be."""
        column = rf'(?:{"|".join(self._kinds)})\.{_PLAIN}'
        items = {
            'type': 'string',
            'maxLength': MAX_TEXT,
            'pattern': f'^{column}(?:,{column})*$',
        }
        return {'type': 'array', 'items': items, 'minItems': 1, 'maxItems': MAX_VALUES}
