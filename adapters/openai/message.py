"""A message as it arrives: its text, what the model thought, and the fields that its provider wants back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.openai.bounds import MAX_EXTRA_BYTES, mend, size_of, storable_json

_KNOWN = frozenset(
    {"role", "content", "refusal", "tool_calls", "function_call", "name", "index", "id", "text", "type"}
    | {"annotations", "audio", "images", "citations", "logprobs", "tool_call_id"}
)
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought", "reasoning_details")
_HIGH = ("\ud800", "\udbff")


class AssembledText:
    """A text out of pieces. A half of a character is held until the other half comes."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._half = ""
        self.bytes = 0

    def add(self, piece: str) -> str:
        """Add a piece, and return what can be heard of it."""
        if not piece:
            return ""
        self.bytes += size_of(piece)
        piece = self._half + piece
        self._half = piece[-1] if _HIGH[0] <= piece[-1] <= _HIGH[1] else ""
        heard = piece[:-1] if self._half else piece
        self._pieces.append(heard)
        return mend(heard)

    def whole(self, *, most: int) -> str:
        """All of it, `most` bytes of UTF-8 at most."""
        text = mend("".join(self._pieces) + self._half)
        return text if self.bytes <= most else text.encode()[:most].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The readable parts of one delta; `is_odd` if part of it was not of the protocol."""

    text: str = ""
    is_odd: bool = False


class MessageFields:
    """The fields of a message besides text and requests, put together out of its deltas."""

    def __init__(self) -> None:
        self._extra: dict[str, Any] = {}
        self._thoughts: dict[str, list[str]] = {}
        self._extra_bytes = 0
        self._is_written = False
        self.unseen_bytes = 0
        """UTF-8 bytes of what the model thought and nobody reads."""

    def take(self, said: Mapping[str, Any]) -> Pieces:
        """The text of a delta; its other fields are kept."""
        for name, value in said.items():
            if name not in _KNOWN and value not in (None, "", [], {}):
                self._keep(name, value)
        self.unseen_bytes += next((_json_bytes(said[name]) for name in _THOUGHTS if said.get(name)), 0)
        content = said.get("content")
        self._is_written |= bool(content)
        if content in (None, "") and not self._is_written:
            return Pieces(_spoken(said))
        if isinstance(content, str):
            return Pieces(content)
        if isinstance(content, int | float) and not isinstance(content, bool):
            return Pieces(str(content))
        if isinstance(content, list | dict):
            return self._parts(content if isinstance(content, list) else [content])
        return Pieces(is_odd=content is not None)

    def _parts(self, parts: list[Any]) -> Pieces:
        """A content of typed parts, of which some are thoughts."""
        texts: list[str] = []
        is_odd = False
        for part in parts:
            text = _text_of(part)
            if text is not None:
                texts.append(text)
            elif isinstance(part, dict):
                self.unseen_bytes += _json_bytes(part)
            else:
                is_odd = True
        return Pieces("".join(texts), is_odd)

    def _keep(self, name: str, value: Any) -> None:
        """Keep one more piece of a field: thoughts and lists grow, objects are filled, anything else is replaced."""
        self._extra_bytes += _json_bytes(value)
        if self._extra_bytes > MAX_EXTRA_BYTES:
            return
        known = self._extra.get(name)
        if isinstance(value, str) and name in _THOUGHTS:
            self._thoughts.setdefault(name, []).append(value)
        elif isinstance(value, list) and isinstance(known, list):
            known.extend(value)
        else:
            self._extra[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value

    def extra(self) -> Mapping[str, Any]:
        """The fields that go back to the provider with the results of its requests; none if they are too many."""
        if self._extra_bytes > MAX_EXTRA_BYTES:
            return {}
        thoughts = {name: mend("".join(pieces)) for name, pieces in self._thoughts.items()}
        return storable_json({**self._extra, **thoughts}) or {}


def _spoken(said: Mapping[str, Any]) -> str:
    """The words of an answer that is spoken."""
    audio = said.get("audio")
    transcript = audio.get("transcript") if isinstance(audio, dict) else None
    return transcript if isinstance(transcript, str) else ""


def _text_of(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    is_text = isinstance(part, dict) and part.get("type", "text") in ("text", "output_text")
    text = part.get("text") if is_text else None
    return text if isinstance(text, str) else None


def _json_bytes(value: Any) -> int:
    """UTF-8 bytes of a text, or of all texts in a value."""
    return sum(size_of(text) for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            stack += each.values()
        elif isinstance(each, list):
            stack += each
        elif each is not None:
            yield str(each)
