"""The provider's answers as bytes: texts, chunks of server-sent events, whole completions."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson

from tests.scripted_model.script import Behaviour

TOKEN_BYTES = 4
TEMPLATE_TOKENS = 4  # what a chat template adds to each message
FILLER = "and " * 64
SEPARATOR = b"\n\n"


def tokens_in(text: str) -> int:
    """One token is four bytes of UTF-8, begun ones count."""
    size = len(text) if text.isascii() else len(text.encode())
    return -(-size // TOKEN_BYTES)


def prompt_tokens(messages: list[dict[str, Any]]) -> int:
    return sum(tokens_in(str(message.get("content") or "")) + TEMPLATE_TOKENS for message in messages)


def answer_text(behaviour: Behaviour, *, seen: int, last: str) -> str:
    """What the model says after `seen` messages, the last of which is `last`; the same for the same prompt."""
    if behaviour.empty:
        return ""
    if behaviour.text is not None:
        return behaviour.text
    if behaviour.tokens is None:
        return f"I have seen {seen} messages. The last one says: {last[:60]}"
    size = behaviour.tokens * TOKEN_BYTES
    start = f"{crc32(last.encode()) ^ seen:08x} "
    return (start + FILLER * (size // len(FILLER) + 1))[:size]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its pieces of text, and how it ends."""

    id: str
    model: str
    pieces: list[str]
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

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

    def texts(self) -> list[bytes]:
        head = self.head() + b'"choices":[{"index":0,"delta":{"content":'
        tail = b'},"finish_reason":null}]}' + SEPARATOR
        return [head + orjson.dumps(piece) + tail for piece in self.pieces]

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
        message = {"role": "assistant", "content": "".join(self.pieces)}
        body = {
            "id": self.id,
            "object": "chat.completion",
            "created": 1700000000,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
        }
        return orjson.dumps({**body, "usage": self.usage} if with_usage else body)


def answer(
    behaviour: Behaviour, *, call: int, model: str, seen: int, last: str, prompt: int, cap: int | None
) -> Answer:
    """The answer to call number `call`, not longer than `cap` tokens."""
    text = answer_text(behaviour, seen=seen, last=last)
    finish = behaviour.finish
    if cap is not None and tokens_in(text) > cap:
        text = text.encode()[: cap * TOKEN_BYTES].decode(errors="ignore")
        finish = "length"
    return Answer(
        id=f"chatcmpl-{call}",
        model=model,
        pieces=pieces(text, behaviour),
        finish=finish,
        prompt_tokens=prompt,
        completion_tokens=tokens_in(text),
        cached_tokens=behaviour.cached_tokens,
    )


def pieces(text: str, behaviour: Behaviour) -> list[str]:
    if behaviour.tokens_per_chunk is not None:
        size = behaviour.tokens_per_chunk * TOKEN_BYTES
    elif behaviour.inter_chunk_delay_s:
        size = 4 * TOKEN_BYTES
    else:
        size = max(1, -(-len(text) // 3))
    return [text[at : at + size] for at in range(0, len(text), size)]
