"""The answer of an OpenAI-compatible API as it arrives: server-sent events, and what their chunks add up to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

import orjson

from adapters.openai_failures import Extras, in_stream, unreadable
from adapters.openai_tools import Requests, extras_of
from domain.chat.ports import ModelReply, ModelRequest, Usage

MAX_EVENT_BYTES = 4 * 2**20
BYTES_PER_TOKEN = 4
FINISHES: dict[str, Literal["stop", "length", "content_filter"]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}
DONE = b"[DONE]"


def estimated_tokens(size: int) -> int:
    """The estimate used where a provider did not count: `size` bytes of UTF-8, four a token, begun ones count."""
    return -(-size // BYTES_PER_TOKEN)


def prompt_bytes(request: ModelRequest) -> int:
    """UTF-8 bytes of all that a model has to read."""
    size = sum(len(message.text.encode()) for message in request.messages)
    for asked in (asked for message in request.messages for asked in message.tool_calls):
        size += len(asked.name.encode()) + len(asked.arguments.encode())
    extras = extras_of(request)
    return size + len(orjson.dumps(extras, default=dict)) if extras else size


class Events:
    """Cuts a byte stream into the data of its server-sent events, wherever the network cut it."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, received: bytes) -> Iterator[bytes]:
        lines = (self._rest + received).splitlines(keepends=True)
        # a carriage return at the very end may be half of a line's end
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(self._rest) > MAX_EVENT_BYTES:
            raise unreadable("one event is larger than 4 MiB")
        for line in lines:
            yield from self._take(line.rstrip(b"\r\n"))

    def end(self) -> Iterator[bytes]:
        """What the last event holds if the stream ended without the blank line that closes it."""
        yield from self._take(self._rest.rstrip(b"\r\n"))
        yield from self._take(b"")

    def _take(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and self._data:
            yield self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data.clear()


class Arriving:
    """An answer while it arrives, piece by piece; `finish` is set by the provider's last word."""

    def __init__(self, on_delta: Callable[[str], None], extras: Extras) -> None:
        self.extras = extras
        self._on_delta = on_delta
        self._pieces: list[str] = []
        self._requests = Requests()
        self._unseen_bytes = 0
        self._counted: Usage | None = None
        self.finish: str | None = None
        self.done = False
        self.id: str | None = None
        self.model: str | None = None

    def take(self, data: bytes) -> None:
        """Add one event.

        Raises:
            ModelFailure: it is an error object (`in_stream`), or not of the protocol.
        """
        if data == DONE:
            self.done = True
            return
        try:
            chunk = orjson.loads(data)
            error = chunk.get("error")
            piece = None if error else self._add(chunk)
        except (ValueError, TypeError, AttributeError, LookupError) as fault:
            raise unreadable(f"a chunk is not of the protocol ({type(fault).__name__})") from fault
        if error:
            raise in_stream(error, self.extras)
        if piece:
            self._on_delta(piece)

    def _add(self, chunk: dict[str, Any]) -> str | None:
        """Add a chunk and return its piece of text. Only one choice is ever asked for."""
        if not self.id:
            self.id, self.model = chunk.get("id") or None, chunk.get("model") or None
        if counted := chunk.get("usage"):
            self._counted = provider_usage(counted) or self._counted
        if not (choices := chunk.get("choices")):
            return None
        self.finish = choices[0].get("finish_reason") or self.finish
        delta = choices[0].get("delta") or {}
        if requested := delta.get("tool_calls"):
            self._requests.add(requested)
        piece: str | None = delta.get("content")
        if piece:
            self._pieces.append("" + piece)
        elif thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self._unseen_bytes += len(thought.encode())
        return piece

    def take_all(self, events: Iterable[bytes]) -> None:
        for data in events:
            self.take(data)

    @property
    def ending(self) -> bool:
        """Whether all that was asked for has come; usage may follow."""
        return self.done or self.finish is not None

    @property
    def begun(self) -> bool:
        """Whether anything came that a provider bills for."""
        return bool(self._pieces or self._requests or self._unseen_bytes or self._counted)

    def usage(self, request: ModelRequest, *, whole: bool) -> Usage:
        """The provider's numbers where it sent any, else what arrived by `estimated_tokens`, and marked so.

        Numbers that came with a stream that is not `whole` are not its last word, so they are marked as well.
        """
        if self._counted is not None:
            return self._counted if whole else replace(self._counted, estimated=True)
        arrived = self._unseen_bytes + self._requests.bytes + sum(len(piece.encode()) for piece in self._pieces)
        return Usage(estimated_tokens(prompt_bytes(request)), estimated_tokens(arrived), estimated=True)

    def reply(self, request: ModelRequest, call_id: str | None) -> ModelReply:
        requests = tuple(self._requests.all())
        return ModelReply(
            text="".join(self._pieces),
            finish="tool_calls" if requests else FINISHES.get(self.finish or "", "other"),
            usage=self.usage(request, whole=True),
            provider_call_id=self.id or call_id,
            model=self.model,
            tool_calls=requests,
        )


def provider_usage(counted: dict[str, Any]) -> Usage | None:
    """The provider's numbers; None where they are all zero or less, as some send before they have counted."""
    prompt, completion = int(counted.get("prompt_tokens") or 0), int(counted.get("completion_tokens") or 0)
    details = counted.get("prompt_tokens_details") or {}
    if prompt < 0 or completion < 0 or not prompt + completion:
        return None
    return Usage(prompt, completion, max(0, int(details.get("cached_tokens") or 0)))
