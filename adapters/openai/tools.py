"""Requests for tools while they arrive, put together out of the pieces that servers cut them into."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from adapters.openai.bounds import (
    MAX_ANSWER_BYTES,
    MAX_TOOL_ID,
    MOST_REQUESTS,
    count_from,
    mend,
    name_from,
    object_from,
    size_of,
    storable_json,
)
from domain.chat.model_port import ToolRequest

_KNOWN = frozenset({"index", "id", "type", "function", "name", "arguments"})
_MOST_IN_A_ROW = 8
_MOST_LOOKS = 1_000
"""Looks at arguments while they come: each of them reads all of the arguments."""


@dataclass(slots=True)
class _PartialRequest:
    """A request of which pieces have come."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    looks: int = 0

    @property
    def arguments(self) -> str:
        return mend("".join(self.pieces))

    def is_whole(self) -> bool:
        self.looks += 1
        if self.looks > _MOST_LOOKS or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(orjson.loads(self.arguments), dict)
        except orjson.JSONDecodeError:
            return False


class Requests:
    """Requests for tools while they arrive.

    Most servers number them, name them in the first piece and send the arguments in the others. Some leave the number
    or the id out, number all of them 0, repeat the name, or give each piece an id of its own. `is_odd` once a piece
    was not of the protocol; what can be read of it counts all the same.
    """

    def __init__(self) -> None:
        self._begun: list[_PartialRequest] = []
        self._numbered: dict[int, _PartialRequest] = {}
        self.bytes = 0
        """UTF-8 bytes of names and arguments so far."""
        self.is_odd = False

    def __bool__(self) -> bool:
        return bool(self._begun)

    def add(self, pieces: Any) -> None:
        """Add what one chunk holds."""
        for piece in self._as_list(pieces):
            if isinstance(piece, dict):
                self._add(piece)
            else:
                self.is_odd = True

    def _as_list(self, pieces: Any) -> list[Any]:
        if isinstance(pieces, list):
            return pieces
        self.is_odd = True
        return [pieces]

    def _add(self, piece: Mapping[str, Any]) -> None:
        function = object_from(piece.get("function")) or _beside(piece)
        self.is_odd |= not isinstance(piece.get("function"), dict | None)
        id_, name = self._text(piece.get("id"), MAX_TOOL_ID), self._text(function.get("name"))
        arguments = self._arguments(function.get("arguments"))
        begun = self._one(count_from(piece.get("index")), id_, name, arguments)
        if begun is None:
            return
        if not begun.name:
            begun.name = name
            self.bytes += size_of(name)
        begun.pieces.append(arguments)
        begun.extra |= {key: value for key, value in piece.items() if key not in _KNOWN and value is not None}
        self.bytes += size_of(arguments)

    def _text(self, value: Any, most: int = 200) -> str:
        self.is_odd |= not isinstance(value, str | None)
        return name_from(value, most=most) or ""

    def _arguments(self, value: Any) -> str:
        if isinstance(value, str | None):
            return value or ""
        if value == []:  # an object without fields, where a language does not tell it from a list
            return ""
        self.is_odd |= not isinstance(value, dict)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def _one(self, index: int | None, id: str, name: str, arguments: str) -> _PartialRequest | None:  # noqa: A002  (its name there)
        """The request that a piece belongs to: a new one, unless it goes on with one that has begun."""
        known = self._numbered.get(index) if index is not None else self._find_unnumbered(id)
        if known is not None and not _is_another(known, id, name, arguments):
            known.id = known.id or id
            return known
        if len(self._begun) >= MOST_REQUESTS:
            return None
        begun = _PartialRequest(id, name="")
        self._begun.append(begun)
        if index is not None:
            self._numbered[index] = begun
        return begun

    def _find_unnumbered(self, id: str) -> _PartialRequest | None:  # noqa: A002  (its name there)
        last = self._begun[-1] if self._begun else None
        return next((begun for begun in self._begun if id and begun.id == id), last)

    def all(self) -> Iterator[ToolRequest]:
        """The requests in order, each with an id of its own; without a name nothing is asked for."""
        ids: set[str] = set()
        left = MAX_ANSWER_BYTES
        for number, begun in enumerate(begun for begun in self._begun if begun.name):
            own = begun.id if begun.id and begun.id not in ids else f"call_{number}"
            ids.add(own)
            arguments = one_object(begun.arguments) if left else ""
            if size_of(arguments) > left:
                arguments = arguments.encode()[:left].decode(errors="ignore")
            left -= size_of(arguments)
            yield ToolRequest(own, begun.name, arguments or "{}", storable_json(begun.extra) or {})


def _beside(piece: Mapping[str, Any]) -> Mapping[str, Any]:
    """A function whose name and arguments stand in the piece itself."""
    return {name: piece.get(name) for name in ("name", "arguments")} if "name" in piece else {}


def one_object(arguments: str) -> str:
    """The arguments; of several objects in a row, the one that is meant, where all others are the same or empty."""
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        values = list(_values(arguments))
        meant = {json.dumps(value, sort_keys=True): text for value, text in reversed(values) if value != {}}
        if values and len(meant) <= 1 and all(isinstance(value, dict) for value, _ in values):
            return next(iter(meant.values()), "{}")
    return arguments


def _values(text: str) -> Iterator[tuple[Any, str]]:
    """The JSON values that stand in a row, with their texts; None for what is none, and for all from the eighth on."""
    decoder, rest = json.JSONDecoder(), text.strip()
    for _ in range(_MOST_IN_A_ROW):
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            break
        yield value, rest[:end]
        rest = rest[end:].lstrip()
        if not rest:
            return
    yield None, rest


def _is_another(known: _PartialRequest, id: str, name: str, arguments: str) -> bool:  # noqa: A002  (its name there)
    """Return true if a piece that seems to go on with a request begins another one."""
    if not name or not known.name:
        return False
    has_another_id = bool(id and known.id and id != known.id)
    return has_another_id or name != known.name or bool(arguments and known.is_whole())
