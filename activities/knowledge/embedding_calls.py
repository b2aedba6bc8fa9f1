"""One embedding call as a small transaction: reserved, made, and settled, like every call to a model."""

import asyncio
import base64
import struct
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog

from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.costs.reservation import Reservation
from activities.durable_write import write_durably
from domain.chat.model_port import ModelFailure, ModelReply, Usage
from domain.content import ContentStore, content_hash
from domain.costs.aggregate import CallIntent, SettledReply
from domain.errors import Invalid
from domain.ids import root_of
from domain.knowledge.ports import Embedders, Embeddings, Vector

LONGEST = timedelta(seconds=120)
"""The time within which a call is settled."""
_MARGIN_BYTES = 8


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """A call for the vectors of texts, and what it is made for. `session_id` names the tenant.

    With `keeps_vectors` they are stored until they are used, so that a repeat after a crash does not pay again.
    """

    call_id: str
    model: str
    texts: Sequence[str]
    agent_id: str
    session_id: str
    workflow_id: str
    key_id: str
    because: str
    project_id: str | None = None
    keeps_vectors: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """The vectors of a call and its cost; `kept` is the hash of the text that they are stored as."""

    embeddings: Embeddings
    kept: str
    cost: Decimal


class EmbeddingCalls:
    """Embeds texts and keeps the cost ledger."""

    def __init__(
        self, books: CostLedger, embedders: Embedders, content: ContentStore, now: Callable[[], datetime]
    ) -> None:
        self._books = books
        self._embedders = embedders
        self._content = content
        self._now = now
        self._log = structlog.get_logger("knowledge")

    @property
    def default_model(self) -> str:
        return self._embedders.default

    def offers(self, model: str) -> bool:
        """Return True if this deployment has the model."""
        try:
            self._embedders.of(model)
        except Invalid:
            return False
        return True

    async def embed(self, call: EmbeddingCall) -> EmbeddingReply:
        """Return the vectors of a call's texts; those of a call that was settled before, if they are stored.

        Raises:
            Invalid: this deployment does not have the model.
            ModelFailure: there are none.
            UpstreamFailed: the limit of attempts is reached.
            LookupError: the call was settled, and its vectors are not stored.
        """
        embedder = self._embedders.of(call.model)
        reserved = await asyncio.to_thread(self._reserve, call)
        if isinstance(reserved, SettledReply):
            return await asyncio.to_thread(self._load_vectors, call, reserved)
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                found = await embedder.embed(call.texts, request_id=reserved.request_id)
        except ModelFailure as failure:
            await write_durably(partial(self._books.fail, reserved, failure, call.because), self._log)
            raise
        except TimeoutError:
            await self._lose(reserved, "timeout", call)
            raise ModelFailure("timeout", "no end within the time", charge="possible", permanent=False) from None
        except BaseException as fault:  # whatever ends it, a cancellation included, the reservation is not left open
            await self._lose(reserved, type(fault).__name__, call)
            raise
        return await self._settle(call, reserved, found)

    async def _settle(self, call: EmbeddingCall, reserved: Reservation, found: Embeddings) -> EmbeddingReply:
        kept = encode_vectors(found.vectors) if call.keeps_vectors else ""
        usage = Usage(found.tokens, 0)
        reply = ModelReply(kept, "stop", usage, provider_call_id=found.provider_call_id, model=found.model)
        settle = partial(self._books.settle, reserved, reply, _companion(call), call.because)
        settled = await write_durably(settle, self._log)
        return EmbeddingReply(found, content_hash(kept), settled.cost)

    def _reserve(self, call: EmbeddingCall) -> Reservation | SettledReply:
        at = self._now()
        bound = sum(len(text.encode()) + _MARGIN_BYTES for text in call.texts)
        worst = self._books.worst_price(call.model, bound, 0, at=at)
        intent = CallIntent(
            call_id=call.call_id,
            kind="embedding",
            model=call.model,
            worst_case=worst.cost,
            price_version=worst.price_version,
            prompt_tokens_bound=bound,
            max_tokens=0,
            deadline=at + LONGEST,
            agent_id=call.agent_id,
            session_id=call.session_id,
            workflow_id=call.workflow_id,
            key_id=call.key_id,
            project_id=call.project_id,
            priced_at=at,
        )
        return self._books.reserve(intent, _companion(call), call.because, untried=True)

    def _load_vectors(self, call: EmbeddingCall, settled: SettledReply) -> EmbeddingReply:
        texts = self._content.get(root_of(call.session_id), [settled.reply_hash])
        vectors = decode_vectors(texts.get(settled.reply_hash, ""))
        if len(vectors) != len(call.texts):
            raise LookupError(f"the vectors of {call.call_id} are not stored")
        return EmbeddingReply(
            Embeddings(vectors, settled.model, settled.prompt_tokens), settled.reply_hash, settled.cost
        )

    async def _lose(self, reserved: Reservation, error: str, call: EmbeddingCall) -> None:
        await write_durably(partial(self._books.lose, reserved, error, call.because, failed=True), self._log)


def encode_vectors(vectors: Sequence[Vector]) -> str:
    """Return vectors of one length as text: their number of dimensions, and their values in half precision."""
    values = [value for vector in vectors for value in vector]
    packed = struct.pack(f"<{len(values)}e", *values)
    return f"{len(vectors[0])}:{base64.b64encode(packed).decode()}"


def decode_vectors(text: str) -> list[Vector]:
    """Return the vectors of `encode_vectors`; none of any other text."""
    length, _, encoded = text.partition(":")
    try:
        packed = base64.b64decode(encoded, validate=True)
        dimensions = int(length)
        values = struct.unpack(f"<{len(packed) // 2}e", packed)
    except (ValueError, Base64Error, struct.error):
        return []
    if dimensions <= 0:
        return []
    return [values[first : first + dimensions] for first in range(0, len(values), dimensions)]


def _companion(call: EmbeddingCall) -> Companion:
    """Nothing is recorded with an embedding call."""
    return Companion(f"call:{call.call_id}", lambda _: [])
