# SPDX-License-Identifier: Apache-2.0
"""A topic whose messages are read, and what is wanted of them."""

from collections.abc import Callable, Iterable, Set
import time

from rclpy.node import Node

from gateway_node.conditions.sources import Reading, RobotSource, TopicValue
from gateway_node.ros.message_fields import Field, FieldUnknown, ValueMissing
from gateway_node.ros.message_types import interface_class, TypeMissing
from gateway_node.ros.readings import Batch
from gateway_node.ros.topic_reader import TopicReader


class TopicFeed:
    """Reads what is wanted of each message, all of it together."""

    def __init__(
        self,
        node: Node,
        topic: str,
        depth: int,
        put: Callable[[Batch], None],
        on_message: Callable[[], None],
    ) -> None:
        """`on_message` is called for each message, after what was read is put."""
        self._topic = topic
        self._put = put
        self._on_message = on_message
        self._reader = TopicReader(node, topic, depth, self._take)
        self._sources: dict[TopicValue, Field | None] = {}
        """Those that can be read of a message."""
        self._wanted: Set[TopicValue] = frozenset()
        self._read_as: tuple[str | None, tuple[str, ...]] = (None, ())
        """The type that the sources were compared with, and all that there were."""
        self._newest: tuple[bytes, float] | None = None
        """The last message since somebody publishes, and when it came."""
        self._faults: dict[RobotSource, str] = {}
        """What was put last where it is no value."""
        self._missing_types: dict[str, str] = {}
        """Of types that are wanted, why they cannot be read; '' of those that can."""

    def want(self, sources: Set[RobotSource]) -> None:
        """Read these; of the last message those that are new."""
        wanted = frozenset(each for each in sources if isinstance(each, TopicValue))
        self._wanted = wanted
        self._faults = {each: text for each, text in self._faults.items() if each in wanted}
        self._compare()

    def look(self, now: float) -> None:
        """Follow the publishers; put why there is no value where that is new."""
        self._reader.follow({each.type_name for each in self._wanted if each.type_name})
        if not self._reader.publishers or self._reader.type_name != self._read_as[0]:
            self._newest = None
        if (self._reader.type_name, self._reader.types) != self._read_as:
            self._compare()
        batch: dict[RobotSource, Reading] = {}
        for source in self._wanted:
            reading = self._reading_of_none(source, now)
            if reading is not None and self._faults.get(source) != reading.fault:
                self._faults[source] = reading.fault
                batch[source] = reading
        if batch:
            self._put(batch)

    def close(self) -> None:
        """Unsubscribe."""
        self._reader.close()

    def _compare(self) -> None:
        """Compare what is wanted with the type that is subscribed to; of the last message, read
        what was not read of it."""
        self._read_as = (self._reader.type_name, self._reader.types)
        before, self._sources = self._sources, {}
        for source in self._wanted:
            if self._reader.type_name is None or self._misfit(source):
                continue
            try:
                self._sources[source] = self._field(source)
            except (FieldUnknown, TypeMissing):
                continue  # told where faults are
        if self._newest is not None:
            self._read(self._sources.keys() - before.keys(), *self._newest)

    def _field(self, source: TopicValue) -> Field | None:
        if source.field is None:
            return None
        return Field(self._reader.message_class, source.field, interface_class)

    def _misfit(self, source: TopicValue) -> str:
        """Return why a source is not read of this subscription, '' where it is."""
        reader = self._reader
        if reader.fault:
            return reader.fault
        if source.type_name is None and len(reader.types) > 1:
            return reader.ambiguity
        if source.type_name not in (None, reader.type_name):
            return f'{self._topic} is of type {reader.type_name}, not {source.type_name}'
        return ''

    def _reading_of_none(self, source: TopicValue, now: float) -> Reading | None:
        """Return why there is no value; None where there is one."""
        if not self._reader.publishers and not self._reader.fault:
            fault = self._missing(source.type_name) or f'nobody publishes {self._topic}'
            return Reading(at=now, fault=fault, unpublished=True)
        misfit = self._misfit(source)
        if misfit:
            return Reading(at=now, fault=misfit)
        if source not in self._sources:
            try:
                self._field(source)
            except (FieldUnknown, TypeMissing) as error:
                return Reading(at=now, fault=f'{self._topic}: {error}')
        if self._newest is None:
            fault = f'no message of {self._topic} has come yet'
            return Reading(at=now, fault=fault, unpublished=True)
        return None

    def _missing(self, type_name: str | None) -> str:
        """Return why a type that is wanted cannot be read, whoever publishes it; '' where it
        can."""
        if type_name is None:
            return ''
        if type_name not in self._missing_types:
            self._missing_types[type_name] = ''
            try:
                interface_class(type_name)
            except TypeMissing as error:
                self._missing_types[type_name] = str(error)
        return self._missing_types[type_name]

    def _take(self, content: bytes) -> None:
        at = time.monotonic()
        self._newest = (content, at)
        self._read(self._sources, content, at)
        self._on_message()

    def _read(self, sources: Iterable[TopicValue], content: bytes, at: float) -> None:
        batch: dict[RobotSource, Reading] = {}
        message, stays = None, self._reader.stays
        for source in sources:
            field = self._sources[source]
            value, fault = None, ''
            if field is not None:
                try:
                    message = message or self._reader.message(content)
                    value = field.value(message)
                except (ValueMissing, ValueError) as error:
                    fault = f'{self._topic}: {error}'
            self._faults[source] = fault
            batch[source] = Reading(at=at, value=value, fault=fault, stays=stays)
        if batch:
            self._put(batch)
