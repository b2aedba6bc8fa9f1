"""The base class of events, and their stable stored names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, from_json, to_json

from domain.errors import Invalid
from domain.tenant_ids import DEFAULT

_NAME = re.compile(r"[a-z_]+\.[a-z_]+")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""Matches U+0000 inside JSON, and not an escaped backslash followed by `u0000`."""


MOST = 2**53 - 1
"""Limit on integers in events: JSON readers represent them exactly, and views can sum many of them."""
_FINEST = Decimal(f"1e{-30}")
_LARGEST = Decimal(10) ** 30


class Event(BaseModel):
    """A fact, named in the past participle.

    `NAME` and `VERSION` are how it is stored, so a class may move or be renamed. `UPCASTS[v]` turns the stored
    fields of version v into those of v + 1. `by` is the key or person that caused it, `because` the request or
    workflow it came from, `at` when it was decided (UTC), `tenant_id` whose it is. `IS_CLAIM` is true of an event that
    only claims or releases a name: its stream is named by a text, so the audit does not list it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    NAME: ClassVar[str]
    VERSION: ClassVar[int] = 1
    UPCASTS: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
    IS_CLAIM: ClassVar[bool] = False

    by: str
    because: str
    at: AwareDatetime
    tenant_id: str = DEFAULT


def _check_numbers(event: Event) -> None:
    for name, value in event.__dict__.items():
        if isinstance(value, int) and not -MOST <= value <= MOST:
            raise Invalid(f"{event.NAME} cannot be stored: {name} is larger than 53 bits")
        if isinstance(value, Decimal) and value and not _FINEST <= abs(value) <= _LARGEST:
            raise Invalid(f"{event.NAME} cannot be stored: {name} is not a storable amount")


@dataclass(frozen=True, slots=True)
class Cause:
    """Who did it, why and when, and in which tenant: what every event carries."""

    by: str
    because: str
    at: datetime
    tenant_id: str

    def fields(self) -> dict[str, Any]:
        return {"by": self.by, "because": self.because, "at": self.at, "tenant_id": self.tenant_id}


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its place: `position` in the ledger, `version` in its stream (both from 1)."""

    position: int
    stream: str
    version: int
    event: Event


class UnknownEvent(Exception):  # noqa: N818  (it is refused, not failed)
    """A stored event that this release cannot read: an unknown name, or a version newer than it knows."""


class EventRegistry:
    """Maps stored names to event classes, both ways."""

    def __init__(self, events: Iterable[type[Event]]) -> None:
        self._by_name: dict[str, type[Event]] = {}
        self._current: dict[str, type[Event]] = {}
        for event in events:
            if not _NAME.fullmatch(event.NAME):
                raise ValueError(f"{event.__name__}: {event.NAME!r} is not of the form concept.fact")
            if self._by_name.setdefault(event.NAME, event) is not event:
                raise ValueError(f"{event.NAME!r} names both {event.__name__} and {self._by_name[event.NAME].__name__}")
            if set(event.UPCASTS) != set(range(1, event.VERSION)):
                raise ValueError(f"{event.NAME!r} needs one upcast for each version before {event.VERSION}")
            self._current[f"{event.NAME}/{event.VERSION}"] = event

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(self._by_name.values())

    @staticmethod
    def encode(event: Event) -> tuple[str, bytes]:
        """Return the stored topic (`name/version`) and state (JSON) of an event.

        Raises:
            Invalid: a text contains U+0000 or half a surrogate pair, or a number is larger than views can store.
        """
        _check_numbers(event)
        try:
            state = event.__pydantic_serializer__.to_json(event)
        except PydanticSerializationError as error:
            raise Invalid(f"{event.NAME} cannot be stored: {error}") from error
        if b"\\u0000" in state and _NUL.search(state):
            raise Invalid(f"{event.NAME} cannot be stored: a text contains the character U+0000")
        return f"{event.NAME}/{event.VERSION}", state

    def decode(self, topic: str, state: bytes) -> Event:
        """Return the stored event, upcast to the current version.

        Raises:
            UnknownEvent: no class has this name, or the version is newer than its class.
            pydantic.ValidationError: the state is not of that event.
        """
        current = self._current.get(topic)
        if current is not None:
            return current.model_validate_json(state)
        name, _, written = topic.partition("/")
        event = self._by_name.get(name)
        version = int(written) if written.isdecimal() else 0
        if event is None or not 1 <= version <= event.VERSION:
            raise UnknownEvent(f"this release cannot read {topic!r}")
        fields: dict[str, Any] = {"tenant_id": DEFAULT, **from_json(state)}
        for step in range(version, event.VERSION):
            fields = event.UPCASTS[step](fields)
        return event.model_validate_json(to_json(fields))
