"""Embedding models behind any OpenAI-compatible API."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import httpx2
import orjson
from openai import APIConnectionError, APIStatusError

from adapters.embeddings.vectors import unit
from adapters.openai.bounds import count_from, name_from, object_from, parse
from adapters.openai.client import ProviderClient
from adapters.openai.errors import of_status, of_transport, unreadable
from adapters.openai.failure_kind import NOTHING_MORE
from adapters.openai.response_body import body_of
from domain.chat.model_port import ModelFailure
from domain.knowledge.ports import Embeddings, Vector

TIMEOUT_S = 60.0
"""Seconds that one call may take."""
MAX_DIMENSIONS = 100_000
_MAX_BODY = 64 * 2**20
_FAULTS = (APIConnectionError, httpx2.TransportError, TimeoutError)


class ProviderEmbedder:
    """`domain.knowledge.ports.Embedder`: one call for all texts, and no retry."""

    def __init__(self, client: ProviderClient, key: str | None, model: str) -> None:
        self._client = client
        self._key = key
        self.model = model

    async def embed(self, texts: Sequence[str], *, request_id: str) -> Embeddings:
        content = orjson.dumps({"model": self.model, "input": list(texts), "encoding_format": "float"})
        headers = {"X-Client-Request-Id": request_id}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client.post_raw("/embeddings", content, headers, silence_s=TIMEOUT_S) as response,
            ):
                call_id = name_from(response.headers.get("x-request-id"))
                body = await body_of(response, most=_MAX_BODY)
        except APIStatusError as refused:
            raise self._without_key(of_status(refused, NOTHING_MORE)) from None
        except _FAULTS as fault:
            raise of_transport(fault) from fault
        return await asyncio.to_thread(_embeddings, body, texts, self.model, call_id)

    def _without_key(self, failed: ModelFailure) -> ModelFailure:
        """The same failure; some providers quote in their message what was sent to them."""
        if self._key:
            failed.args = (str(failed).replace(self._key, "[key]"),)
        return failed


def _embeddings(body: bytes, texts: Sequence[str], model: str, call_id: str | None) -> Embeddings:
    """Return the vectors of a response, each at the place of its text.

    Raises:
        ModelFailure: it has not one vector of equal length for each text.
    """
    try:
        answer = object_from(parse(body))
        items = answer["data"]
        placed = {_place(item, number): _vector(item) for number, item in enumerate(items)}
        vectors = [placed[number] for number in range(len(texts))]
    except (ValueError, LookupError, TypeError) as fault:
        raise unreadable("it has not one vector for each text") from fault
    if len(items) != len(texts) or len({len(vector) for vector in vectors}) != 1:
        raise unreadable("its vectors differ in number or length")
    usage = object_from(answer.get("usage"))
    tokens = count_from(usage.get("prompt_tokens", usage.get("total_tokens")))
    counted = sum(len(text.encode()) // 4 + 1 for text in texts) if tokens is None else tokens
    return Embeddings(vectors, model, counted, name_from(answer.get("id")) or call_id)


def _place(item: Any, number: int) -> int:
    place = object_from(item).get("index", number)
    if isinstance(place, bool) or not isinstance(place, int):
        raise TypeError("an index is no integer")
    return place


def _vector(item: Any) -> Vector:
    values = item["embedding"]
    if not isinstance(values, list) or not 0 < len(values) <= MAX_DIMENSIONS:
        raise ValueError("a vector is no list of numbers")
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise ValueError("a vector has something else than numbers")
    return unit(values)
