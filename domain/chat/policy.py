"""Decisions of a chat: the fit of prompts to the model's window, summaries, limits of attempts, continue-as-new."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from domain.chat.model_port import Message, ReplySchema, ToolOffer
from domain.errors import TooLarge

TURNS_PER_RUN = 200
EVENTS_PER_RUN = 2_000
"""A workflow execution continues as new at either limit, well before Temporal suggests it (4,096 events)."""

IDLE_TIMEOUT = timedelta(hours=24)
"""An idle chat's workflow ends after this time; the next message starts another."""

REMEMBERED_MESSAGES = 20
"""Limit on the message ids by which a workflow recognizes repeats."""

MOST_FAILURES = 5
"""Limit on failed calls of a step. Those lost with a worker do not count."""

MOST_ATTEMPTS = 16
"""Limit on all calls of a step, those that omit a refused part and those lost with a worker included."""

REFUSAL_TTL_S = 3600.0
"""Seconds for which a model's refusal is remembered: gateways change the model behind a name."""

SUMMARISE_AT = 0.7
"""Used share of the window from which the older half of the turns is summarised."""

SUMMARY_TOKENS = 256

_BYTES_PER_TOKEN = 3
_BYTES_PER_ANSWERED_TOKEN = 4
_ROOM = 1 / 16  # of the window, for the next message
_TOKENS_PER_MESSAGE = 8
_TOKENS_OF_TEMPLATE = 32
"""Tokens that a model's template may add: the start of its answer, or default instructions."""
_TOKENS_PER_TOOL = 16
_TOKENS_OF_TOOLS = 600
"""Tokens that providers add to a prompt with tools: up to 530 have been measured."""
_TOKENS_OF_SCHEMA = 200
_LEAST_SHARE = 80
"""The least bytes of a message that are useful in a summary."""


def estimate_tokens(text: str) -> int:
    """Estimate tokens cautiously: English has about 4 UTF-8 bytes a token, most other scripts 3 or more."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE


def _size(message: Message) -> int:
    size = estimate_tokens(message.text) + sum(
        estimate_tokens(call.name + call.arguments) for call in message.tool_calls
    )
    return size + _bytes_of_extra(message) // _BYTES_PER_TOKEN


def text_room(*, window: int, max_answer: int) -> int:
    """Return the characters that referenced texts, or tool results, may take of a prompt: half of its window."""
    return max(0, window - max_answer) * _BYTES_PER_TOKEN // 2


def prompt_bound(
    messages: Sequence[Message], tools: Sequence[ToolOffer] = (), reply_schema: ReplySchema | None = None
) -> int:
    """Return an upper bound of the prompt's tokens for any tokenizer: one a byte, and the template of each part."""
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
    """Return the size of a message with tool requests or results: templates may write it as escaped JSON."""
    requests = [(request.id, request.name, request.arguments) for request in message.tool_calls]
    size = _json_bytes([message.text, message.tool_call_id, requests]) + _TOKENS_PER_TOOL * len(requests)
    return size + _bytes_of_extra(message)


def _bytes_of_extra(message: Message) -> int:
    """Return the size of fields that go back to the provider as received: reasoning among them is read again."""
    extra = [each for each in (message.extra, *(call.extra for call in message.tool_calls)) if each]
    return _json_bytes(extra) if extra else 0


def _json_bytes(value: Any) -> int:
    """Return the size of the longest JSON form: spaces after the separators, and escapes for non-ASCII."""
    return len(json.dumps(value, default=dict))


@dataclass(frozen=True, slots=True)
class PromptMaterial:
    """The material of a prompt: the remembered turns, oldest first, and the message to answer.

    `steps` are the tool requests and results since then.
    """

    message: str
    turns: tuple[tuple[str, str], ...] = ()
    summary: str | None = None
    instructions: str = field(default="")
    steps: tuple[Message, ...] = ()


def build_prompt(recall: PromptMaterial) -> tuple[Message, ...]:
    """Return the messages of a turn: instructions and summary, the remembered turns, the message to answer."""
    system = recall.instructions
    if recall.summary:
        system = f"{system}\n\nWhat was said before, in short:\n{recall.summary}".strip()
    opening = [Message("system", system)] if system else []
    for said, answered in recall.turns:
        opening += [Message("user", said), Message("assistant", answered)]
    return (*opening, Message("user", recall.message), *recall.steps)


def fit_to_window(recall: PromptMaterial, *, window: int, max_answer: int) -> PromptMaterial:
    """Drop whole turns, oldest first, until prompt and answer fit the window (tokens).

    Raises:
        TooLarge: the message alone does not fit.
    """
    kept = replace(recall, turns=())
    left = window - max_answer - sum(_size(message) for message in build_prompt(kept))
    if left < 0 and recall.summary:
        return fit_to_window(replace(recall, summary=None), window=window, max_answer=max_answer)
    if left < 0:
        raise TooLarge(f"the message does not fit the model's window of {window} tokens")
    fitting: list[tuple[str, str]] = []
    for turn in reversed(recall.turns):
        left -= sum(estimate_tokens(text) for text in turn)
        if left < 0:
            break
        fitting.append(turn)
    return replace(recall, turns=tuple(reversed(fitting)))


def with_fewer_turns(recall: PromptMaterial) -> PromptMaterial | None:
    """Drop half of the turns, for a provider that counts more tokens than the estimate; None when none is left."""
    if recall.turns:
        kept = len(recall.turns) // 2
        return replace(recall, turns=recall.turns[len(recall.turns) - kept :])
    if recall.summary:
        return replace(recall, summary=None)
    return None


_SHORT_ANSWER = 1024


def answer_bound(max_answer: int, window: int, share: int = 4) -> int:
    """Return the limit that every call sends for its answer (tokens).

    One part in `share` of the window at most, or 1,024 where that is more; never more than a quarter of it.
    """
    quarter = window // 4
    return max(1, min(max_answer, quarter, max(window // share, _SHORT_ANSWER)))


def remaining_room(recall: PromptMaterial, *, answered: int, window: int, max_answer: int) -> int:
    """Return the tokens, as `fit` counts them, left for the next message after this prompt and its answer.

    `answered` is the answer's length in the model's own tokens. Below 0 the next prompt drops turns.
    """
    held = sum(_size(message) for message in build_prompt(recall))
    return window - max_answer - held - answered * _BYTES_PER_ANSWERED_TOKEN // _BYTES_PER_TOKEN - _TOKENS_PER_MESSAGE


def summarise_upto(first: int, last: int, *, used: int, window: int, room: int | None = None) -> int | None:
    """Return the turn up to which the conversation has to be summarised now, or None.

    `first` is the oldest turn that prompts contain word for word, `last` the newest answered one, `used` the tokens of
    its prompt and answer, `room` the tokens left for the next message, if known.
    """
    held = last - first + 1
    is_near_full = held > 1 and used >= SUMMARISE_AT * window
    will_drop = held > 0 and room is not None and room < _ROOM * window
    return first + (held + 1) // 2 - 1 if is_near_full or will_drop else None


def summary_prompt(earlier: str | None, turns: Sequence[tuple[str, str]], *, window: int) -> tuple[Message, ...]:
    """Return the prompt for a running summary of the earlier one and these turns.

    Each text is cut to its share of half the window. If there are too many turns for a useful share each, the oldest
    are left out.
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
    """Return the beginning of a text, `share` UTF-8 bytes at most."""
    return text.encode()[:share].decode(errors="ignore")
