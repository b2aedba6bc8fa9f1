"""The provider's answers as bytes: texts, chunks of server-sent events, whole completions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson

from tests.scripted_model.asked import Asked, text_of
from tests.scripted_model.directives import ToolCall
from tests.scripted_model.script import Behaviour
from tests.scripted_model.shaped import instance

TOKEN_BYTES = 4
TEMPLATE_TOKENS = 4  # what a chat template adds to each message
FILLER = "and " * 64
QUOTED = 200  # characters of each tool's result
SEPARATOR = b"\n\n"


def tokens_in(text: str) -> int:
    """One token is four bytes of UTF-8, begun ones count."""
    size = len(text) if text.isascii() else len(text.encode())
    return -(-size // TOKEN_BYTES)


def prompt_tokens(asked: Asked) -> int:
    texts = sum(tokens_in(text_of(message)) + TEMPLATE_TOKENS for message in asked.messages)
    return texts + -(-asked.prompt_bytes_of_extras // TOKEN_BYTES)


def answer_text(behaviour: Behaviour, asked: Asked, last: str) -> str:
    """What the model says, the last message being `last` without directives; the same for the same prompt."""
    seen = len(asked.messages)
    if behaviour.empty or (behaviour.calls and behaviour.text is None):
        return ""
    if behaviour.text is not None:
        return behaviour.text
    if behaviour.tokens is not None:
        size = behaviour.tokens * TOKEN_BYTES
        start = f"{crc32(last.encode()) ^ seen:08x} "
        return (start + FILLER * (size // len(FILLER) + 1))[:size]
    if asked.schema is not None:
        return orjson.dumps(instance(asked.schema)).decode()
    if asked.results:
        return "The tools say: " + " | ".join(result[:QUOTED] for result in asked.results)
    return f"I have seen {seen} messages. The last one says: {last[:60]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its pieces of text, the tools it asks for, and how it ends."""

    id: str
    model: str
    pieces: list[str]
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    calls: tuple[ToolCall, ...] = ()

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }

    def head(self) -> bytes:
        """The beginning that all chunks share."""
        return b'data: {"id":"%b","object":"chat.completion.chunk","created":1700000000,"model":%b,' % (
            self.id.encode(),
            orjson.dumps(self.model),
        )

    def deltas(self) -> Iterator[tuple[str, bytes]]:
        """What the model wrote piece by piece, and the chunk that each piece goes out in."""
        head, tail = self.head() + b'"choices":[{"index":0,"delta":', b',"finish_reason":null}]}' + SEPARATOR
        for piece in self.pieces:
            yield piece, head + b'{"content":' + orjson.dumps(piece) + b"}" + tail
        for index, call in enumerate(self.calls):
            for written, fields in self._pieces_of(index, call):
                yield written, head + orjson.dumps({"tool_calls": [{"index": index, **fields}]}) + tail

    def _pieces_of(self, index: int, call: ToolCall) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and name first, then the arguments in two halves."""
        yield call.name, {**self._named(index), "function": {"name": call.name, "arguments": ""}}
        half = len(call.arguments) // 2
        for part in (call.arguments[:half], call.arguments[half:]):
            yield part, {"function": {"arguments": part}}

    def _named(self, index: int) -> dict[str, Any]:
        return {"id": f"call_{self.id.removeprefix('chatcmpl-')}_{index}", "type": "function"}

    def end(self, *, with_finish: bool, with_usage: bool, with_done: bool = True) -> bytes:
        head = self.head()
        parts: list[bytes] = []
        if with_finish:
            finish = orjson.dumps(self.finish)
            parts.append(head + b'"choices":[{"index":0,"delta":{},"finish_reason":%b}]}' % finish + SEPARATOR)
        if with_usage:
            parts.append(head + b'"choices":[],"usage":%b}' % orjson.dumps(self.usage) + SEPARATOR)
        if with_done:
            parts.append(b"data: [DONE]" + SEPARATOR)
        return b"".join(parts)

    def whole(self, *, with_usage: bool) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.pieces)}
        if self.calls:
            message["tool_calls"] = [
                {**self._named(index), "function": {"name": call.name, "arguments": call.arguments}}
                for index, call in enumerate(self.calls)
            ]
        body = {
            "id": self.id,
            "object": "chat.completion",
            "created": 1700000000,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
        }
        return orjson.dumps({**body, "usage": self.usage} if with_usage else body)


def answer(behaviour: Behaviour, asked: Asked, last: str, *, number: int) -> Answer:
    """The answer to call number `number`, its text not longer than the cap that was sent."""
    text = answer_text(behaviour, asked, last)
    finish = "tool_calls" if behaviour.calls and behaviour.finish == "stop" else behaviour.finish
    cap = asked.body.get("max_completion_tokens") or asked.body.get("max_tokens")
    if cap is not None and tokens_in(text) > cap:
        text = text.encode()[: cap * TOKEN_BYTES].decode(errors="ignore")
        finish = "length"
    return Answer(
        id=f"chatcmpl-{number}",
        model=asked.model,
        pieces=pieces(text, behaviour),
        finish=finish,
        prompt_tokens=prompt_tokens(asked),
        completion_tokens=tokens_in(text) + sum(tokens_in(call.name + call.arguments) for call in behaviour.calls),
        cached_tokens=behaviour.cached_tokens,
        calls=behaviour.calls,
    )


def pieces(text: str, behaviour: Behaviour) -> list[str]:
    if behaviour.tokens_per_chunk is not None:
        size = behaviour.tokens_per_chunk * TOKEN_BYTES
    elif behaviour.inter_chunk_delay_s:
        size = 4 * TOKEN_BYTES
    else:
        size = max(1, -(-len(text) // 3))
    return [text[at : at + size] for at in range(0, len(text), size)]
