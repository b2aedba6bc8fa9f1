"""Tools and shapes in the words of an OpenAI-compatible API: what is offered, and requests as they arrive.

Nothing is kept between calls: twelve offers of 9 kB in all are written in 5 µs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from domain.chat.ports import Message, ModelRequest, ReplySchema, ToolOffer, ToolRequest


def message_of(message: Message) -> dict[str, Any]:
    """A message as the API takes it."""
    if message.tool_calls:
        requests = [_request(request) for request in message.tool_calls]
        return {"role": message.role, "content": message.text or None, "tool_calls": requests}
    if message.tool_call_id is not None:
        return {"role": message.role, "tool_call_id": message.tool_call_id, "content": message.text}
    return {"role": message.role, "content": message.text}


def extras_of(request: ModelRequest) -> dict[str, Any]:
    """What a body holds besides for a request with tools or a shape; empty for others."""
    extras: dict[str, Any] = {}
    if request.tools:
        extras["tools"] = [_offer(offer) for offer in request.tools]
    if request.reply_schema is not None:
        extras["response_format"] = _format(request.reply_schema)
    return extras


def _offer(offer: ToolOffer) -> dict[str, Any]:
    function = {"name": offer.name, "description": offer.description, "parameters": offer.parameters}
    return {"type": "function", "function": function}


def _format(shape: ReplySchema) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": shape.name, "schema": shape.schema}}


def _request(request: ToolRequest) -> dict[str, Any]:
    function = {"name": request.name, "arguments": _readable(request.arguments)}
    return {"id": request.id, "type": "function", "function": function}


def _readable(arguments: str) -> str:
    """The arguments, as a JSON object also where the model wrote none: many servers fail on what they cannot parse."""
    try:
        is_object = isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return arguments if is_object else orjson.dumps({"unreadable": arguments}).decode()


@dataclass(slots=True)
class _Begun:
    """A request of which pieces have come."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def is_whole(self) -> bool:
        try:
            return isinstance(orjson.loads(self.arguments), dict)
        except orjson.JSONDecodeError:
            return False


class Requests:
    """Requests for tools while they arrive.

    Most servers number them, name them in the first piece and send the arguments in the others. Some leave the number
    or the id out, number all of them 0, repeat the name, or give each piece an id of its own.
    """

    def __init__(self) -> None:
        self._begun: list[_Begun] = []
        self._numbered: dict[int, _Begun] = {}

    def __bool__(self) -> bool:
        return bool(self._begun)

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of names and arguments so far."""
        return sum(len(begun.name.encode()) + len(begun.arguments.encode()) for begun in self._begun)

    def add(self, pieces: Sequence[dict[str, Any]]) -> None:
        """Add what one chunk holds.

        Raises:
            TypeError, AttributeError: it is not of the protocol.
        """
        for piece in pieces:
            function = piece.get("function") or {}
            arguments = function.get("arguments") or ""
            if isinstance(arguments, dict):
                arguments = orjson.dumps(arguments).decode()
            name = "" + (function.get("name") or "")
            begun = self._one(piece.get("index"), "" + (piece.get("id") or ""), name, "" + arguments)
            begun.name = begun.name or name
            begun.pieces.append(arguments)

    def _one(self, index: int | None, id: str, name: str, arguments: str) -> _Begun:  # noqa: A002  (its name there)
        """The request that a piece belongs to: a new one, unless it goes on with one that has begun."""
        known = self._numbered.get(index) if index is not None else self._unnumbered(id)
        if known is not None and not _is_another(known, id, name, arguments):
            known.id = known.id or id
            return known
        begun = _Begun(id, name)
        self._begun.append(begun)
        if index is not None:
            self._numbered[index] = begun
        return begun

    def _unnumbered(self, id: str) -> _Begun | None:  # noqa: A002  (its name there)
        last = self._begun[-1] if self._begun else None
        return next((begun for begun in self._begun if id and begun.id == id), last)

    def all(self) -> Iterator[ToolRequest]:
        """The requests in order, each with an id of its own; without a name nothing is asked for."""
        ids: set[str] = set()
        for number, begun in enumerate(begun for begun in self._begun if begun.name):
            own = begun.id if begun.id and begun.id not in ids else f"call_{number}"
            ids.add(own)
            yield ToolRequest(own, begun.name, begun.arguments or "{}")


def _is_another(known: _Begun, id: str, name: str, arguments: str) -> bool:  # noqa: A002  (its name there)
    """Whether a piece that seems to go on with a request begins another one."""
    if not name or not known.name:
        return False
    has_another_id = bool(id and known.id and id != known.id)
    return has_another_id or name != known.name or bool(arguments and known.is_whole)
