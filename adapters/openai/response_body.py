"""The pieces of an answer as they come from a provider, until it is whole."""

import asyncio
from collections.abc import AsyncIterator

import httpx2

from adapters.openai.errors import of_transport
from adapters.openai.partial_answer import PartialAnswer
from adapters.openai.stream import ResponseReader
from domain.chat.model_port import ModelFailure

LAST_WORD_SECONDS = 5.0  # of silence after the finish reason, while usage and [DONE] may come
LATE_WORD_SECONDS = 30.0  # the same where text came after a finish reason: the next piece may be slow
CLOSE_SECONDS = 0.05  # for the end of the body that follows [DONE], without which the connection is not used again


async def body_of(response: httpx2.Response, *, most: int) -> bytes:
    """The body, up to `most` bytes and the rest of a piece."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) >= most:
            break
    return bytes(body)


async def receive(response: httpx2.Response, arriving: PartialAnswer) -> None:
    """Take the pieces of an answer until it is whole, or is not waited for any longer."""
    pieces = response.aiter_raw()
    reading = ResponseReader(arriving)
    while not (arriving.done or arriving.is_too_long):
        received = await (last_words(pieces, arriving) if arriving.is_ending else anext(pieces, b""))
        if received:
            reading.feed(received)
        elif not arriving.done:
            reading.end()
            return
    if arriving.done:
        await until_body_ends(pieces)


async def last_words(pieces: AsyncIterator[bytes], arriving: PartialAnswer) -> bytes:
    """Return the piece after the finish reason; silence makes the answer whole."""
    try:
        async with asyncio.timeout(LATE_WORD_SECONDS if arriving.is_late else LAST_WORD_SECONDS):
            return await anext(pieces, b"")
    except TimeoutError:
        arriving.done = True
        return b""


def fault_of(fault: Exception, arriving: PartialAnswer) -> ModelFailure:
    """The failure that an error of the connection or of time is; an answer too long for its time would be so again."""
    failed = of_transport(fault)
    failed.permanent |= isinstance(fault, TimeoutError) and arriving.is_billable
    return failed


async def until_body_ends(pieces: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            async for _ in pieces:
                pass
    except (TimeoutError, httpx2.TransportError):
        return
