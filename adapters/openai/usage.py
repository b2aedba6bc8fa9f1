"""Tokens as providers count them, under the names that each has for them."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from adapters.openai.bounds import count_from, object_from
from adapters.openai.prompts import extras_of
from domain.chat.model_port import ModelRequest, Usage

BYTES_PER_TOKEN = 4
_PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount")
_NAMES = (*_PROMPT, *_COMPLETION)
_TOTAL = ("total_tokens", "totalTokenCount")
_CACHED = (
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cachedContentTokenCount",
)
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
_PLACES = ("usage", "x_groq", "usageMetadata", "usage_metadata", "amazon-bedrock-invocationMetrics")
_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")


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


def usage_of(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> Usage | None:
    """The counts that a chunk or its choice brings, where any provider puts them; None if none is to be believed."""
    places = [place for place in (chunk, choice, choice.get("message")) if isinstance(place, dict)]
    told = [place[name] for place in places for name in _PLACES if place.get(name)]
    if not told:  # as in most chunks
        return None
    told = [each for place in told for each in _within(place)]
    counted = (usage for read in (_parse_counts, _total) for place in told if (usage := read(place)) is not None)
    return next(counted, None)


def _within(place: Any) -> Iterator[Mapping[str, Any]]:
    """The counts that a place holds, and those that its parts hold."""
    if isinstance(place, dict):
        yield place
        yield from (place[name] for name in ("usage", "tokens") if isinstance(place.get(name), dict))


def of_total(usage: Usage, request: ModelRequest) -> Usage:
    """The usage; if a provider told only a total, the prompt's estimate of it is the prompt's."""
    if usage.prompt_tokens or not usage.estimated:
        return usage
    prompt = min(estimated_tokens(prompt_bytes(request)), usage.completion_tokens)
    return Usage(prompt, usage.completion_tokens - prompt, estimated=True)


def _total(counts: Mapping[str, Any]) -> Usage | None:
    """A total that is all there is."""
    total = _first(counts, _TOTAL)
    return Usage(0, total, estimated=True) if total and not any(counts.get(name) for name in _NAMES) else None


def _parse_counts(counts: Mapping[str, Any]) -> Usage | None:
    """None where the counts are all zero, as some send before they have counted, or one of them is none."""
    if any(count_from(counts[name]) is None for name in _NAMES if counts.get(name) is not None):
        return None
    prompt, completion = _first(counts, _PROMPT), _first(counts, _COMPLETION)
    if not prompt + completion:
        return None
    cached, beside = _cache_tokens(counts, _CACHED), sum(_first(counts, (name,)) for name in _BESIDE)
    total = _first(counts, _TOTAL)
    left = total - prompt - completion
    if left > 0 and left in (cached, beside):  # tokens of a cache that are counted beside the prompt's
        prompt += left
    elif left > 0:  # thoughts that are counted beside the answer, and charged like it
        completion += left
    elif not total and not counts.get("prompt_tokens"):  # Anthropic's own names, whose input is without the cache's
        prompt += beside
    cached = min(cached, prompt)
    return Usage(prompt, completion, cached, cache_write_tokens=min(_cache_tokens(counts, _WRITTEN), prompt - cached))


def _cache_tokens(counts: Mapping[str, Any], names: tuple[str, ...]) -> int:
    places = [*(object_from(counts.get(name)) for name in _DETAILS), counts]
    return max(_first(place, names) for place in places)


def _first(counts: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((count for name in names if (count := count_from(counts.get(name)))), 0)
