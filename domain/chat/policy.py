"""What a chat decides by itself: what fits a model's window, when to summarise, when to give up, when to start anew."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.chat.ports import Message, Recall, ReplySchema, ToolOffer
from domain.errors import TooLarge

TURNS_PER_RUN = 200
EVENTS_PER_RUN = 2_000
"""A run of the workflow continues as new at either bound, well before the engine would ask for it (4,096 events)."""

IDLE = timedelta(hours=24)
"""A chat nobody speaks in gives its run back after this time; the next message opens another."""

REMEMBERED = 20
"""Message ids a run knows again."""

MOST_FAILURES = 5
"""Calls the provider may refuse or cut before the turn fails. Lost ones (a killed worker) do not count."""

MOST_ATTEMPTS = 16
"""Calls for one step in all, those included that ask for less after a refusal, and those lost with a worker."""

BELIEVED_S = 3600.0
"""Seconds for which a model's refusal is believed: gateways change what stands behind a name."""

SUMMARISE_AT = 0.7
"""Share of the window in use from which the older half of the turns is put into the summary."""

SUMMARY_TOKENS = 256

_BYTES_PER_TOKEN = 3
_BYTES_PER_ANSWERED_TOKEN = 4
_ROOM = 1 / 16  # of the window, for the next message
_TOKENS_PER_MESSAGE = 8
_TOKENS_OF_TEMPLATE = 32
"""What a model's template may add by itself: the opening of its answer, or instructions where there are none."""
_TOKENS_PER_TOOL = 16
_TOKENS_OF_TOOLS = 600
"""What providers tell a model about tools as such, as soon as one is offered: up to 530 have been seen."""
_TOKENS_OF_SCHEMA = 200
_LEAST_SHARE = 80
"""Bytes of a message that still say something in a summary."""


def tokens(text: str) -> int:
    """A cautious estimate: English runs at about 4 UTF-8 bytes a token, most other scripts at 3 or more."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE


def _size(message: Message) -> int:
    size = tokens(message.text) + sum(tokens(call.name + call.arguments) for call in message.tool_calls)
    return size + _bytes_of_extra(message) // _BYTES_PER_TOKEN


def text_room(*, window: int, max_answer: int) -> int:
    """Characters that the texts a run refers to, or the results of tools, may take of a prompt: half of its window."""
    return max(0, window - max_answer) * _BYTES_PER_TOKEN // 2


def prompt_bound(
    messages: Sequence[Message], tools: Sequence[ToolOffer] = (), reply_schema: ReplySchema | None = None
) -> int:
    """More tokens than any tokenizer makes of this prompt: one a byte, and the template around each part of it."""
    bound = _TOKENS_OF_TEMPLATE
    for message in messages:
        bound += _TOKENS_PER_MESSAGE
        bound += _bytes_of_call(message) if message.tool_calls or message.role == "tool" else len(message.text.encode())
    if tools:
        offered = [(tool.name, tool.description, tool.parameters) for tool in tools]
        bound += _TOKENS_OF_TOOLS + _TOKENS_PER_TOOL * len(tools) + _json_bytes(offered)
    if reply_schema is not None:
        bound += _TOKENS_OF_SCHEMA + len(reply_schema.name) + _json_bytes(reply_schema.schema)
    return bound


def _bytes_of_call(message: Message) -> int:
    """A message with requests for tools, or the answer to one: templates may write it as JSON, escapes and all."""
    requests = [(request.id, request.name, request.arguments) for request in message.tool_calls]
    size = _json_bytes([message.text, message.tool_call_id, requests]) + _TOKENS_PER_TOOL * len(requests)
    return size + _bytes_of_extra(message)


def _bytes_of_extra(message: Message) -> int:
    """The fields that go back to the provider as they came: thoughts among them are read again."""
    extra = [each for each in (message.extra, *(call.extra for call in message.tool_calls)) if each]
    return _json_bytes(extra) if extra else 0


def _json_bytes(value: Any) -> int:
    """Its JSON at its longest: spaces after the separators, and an escape for whatever is not ASCII."""
    return len(json.dumps(value, default=dict))


def prompt(recall: Recall) -> tuple[Message, ...]:
    """The messages of a turn: instructions and summary, the turns remembered, the message to answer."""
    system = recall.instructions
    if recall.summary:
        system = f"{system}\n\nWhat was said before, in short:\n{recall.summary}".strip()
    opening = [Message("system", system)] if system else []
    for said, answered in recall.turns:
        opening += [Message("user", said), Message("assistant", answered)]
    return (*opening, Message("user", recall.message), *recall.steps)


def fit(recall: Recall, *, window: int, max_answer: int) -> Recall:
    """Drop whole turns, oldest first, until prompt and answer fit the window (tokens).

    Raises:
        TooLarge: the message alone does not fit.
    """
    kept = replace(recall, turns=())
    left = window - max_answer - sum(_size(message) for message in prompt(kept))
    if left < 0 and recall.summary:
        return fit(replace(recall, summary=None), window=window, max_answer=max_answer)
    if left < 0:
        raise TooLarge(f"the message does not fit the model's window of {window} tokens")
    fitting: list[tuple[str, str]] = []
    for turn in reversed(recall.turns):
        left -= sum(tokens(text) for text in turn)
        if left < 0:
            break
        fitting.append(turn)
    return replace(recall, turns=tuple(reversed(fitting)))


def shorter(recall: Recall) -> Recall | None:
    """Half as many turns, for a provider that counts more tokens than we do; None when none is left to drop."""
    if recall.turns:
        kept = len(recall.turns) // 2
        return replace(recall, turns=recall.turns[len(recall.turns) - kept :])
    if recall.summary:
        return replace(recall, summary=None)
    return None


_SHORT_ANSWER = 1024


def answer_bound(max_answer: int, window: int, share: int = 4) -> int:
    """The cap every call sends for its answer (tokens).

    One part in `share` of the window at most, or 1,024 where that is more; never more than a quarter of it.
    """
    quarter = window // 4
    return max(1, min(max_answer, quarter, max(window // share, _SHORT_ANSWER)))


def room(recall: Recall, *, answered: int, window: int, max_answer: int) -> int:
    """Tokens, as `fit` counts them, left for the next message if its prompt holds all of this and its answer.

    `answered` is the answer's length in the model's own tokens. Below 0 the next prompt drops turns.
    """
    held = sum(_size(message) for message in prompt(recall))
    return window - max_answer - held - answered * _BYTES_PER_ANSWERED_TOKEN // _BYTES_PER_TOKEN - _TOKENS_PER_MESSAGE


def to_summarise(first: int, last: int, *, used: int, window: int, room: int | None = None) -> int | None:
    """The turn up to which the conversation is to be summarised now, or None.

    `first` is the oldest turn that prompts hold word for word, `last` the newest answered one, `used` the tokens its
    prompt and answer took, `room` what is left for the next message, if known.
    """
    held = last - first + 1
    is_near_full = held > 1 and used >= SUMMARISE_AT * window
    will_drop = held > 0 and room is not None and room < _ROOM * window
    return first + (held + 1) // 2 - 1 if is_near_full or will_drop else None


def summary_prompt(earlier: str | None, turns: Sequence[tuple[str, str]], *, window: int) -> tuple[Message, ...]:
    """Ask for a running summary: the earlier one carried on over these turns, each cut to its share of half the window.

    When there are too many to say something of each, the oldest are left out.
    """
    space = (window - 2 * SUMMARY_TOKENS) * _BYTES_PER_TOKEN // 2
    most = max(1, space // (2 * _LEAST_SHARE))
    turns = turns[-most:]
    share = max(_LEAST_SHARE, space // (2 * len(turns) + 1))
    lines = [f"Summary so far: {_cut(earlier, share)}"] if earlier else []
    for said, answered in turns:
        lines += [f"User: {_cut(said, share)}", f"Assistant: {_cut(answered, share)}"]
    return (
        Message(
            "system",
            "You keep the memory of a conversation. Write its summary in at most 150 words: facts, names, numbers,"
            " decisions and open questions. Write only the summary.",
        ),
        Message("user", "\n".join(lines)),
    )


def _cut(text: str, share: int) -> str:
    """The beginning of a text, `share` UTF-8 bytes at most."""
    return text.encode()[:share].decode(errors="ignore")
