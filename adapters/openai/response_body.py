"""What comes over a connection to a provider: the pieces of an answer until it is whole, or a refusal's body."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from adapters.openai.errors import of_transport
from adapters.openai.stream import Arriving, Reading
from domain.chat.ports import ModelFailure

PROBE_SECONDS = 2.0
LAST_WORD_SECONDS = 5.0  # of silence after the finish reason, while usage and [DONE] may come
LATE_WORD_SECONDS = 30.0  # the same where text came after a finish reason: the next piece may be slow
CLOSE_SECONDS = 0.05  # for the end of the body that follows [DONE], without which the connection is not used again
MAX_BODY_BYTES = 2**20  # of anything that is not an answer
CLOSES_UNSAID = (
    "llama.cpp"  # closes a connection after a stream though it says it would not: the next call would be lost
)


def used_once(response: aiohttp.ClientResponse) -> None:
    """Keep no connection that the server is about to close without a word."""
    protocol = response.connection.protocol if response.connection else None
    if protocol is not None and response.headers.get("Server") == CLOSES_UNSAID:
        protocol.force_close()


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it is of a sensible size."""
    body = b""
    while len(body) < MAX_BODY_BYTES and (received := await response.content.readany()):
        body += received
    return body


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer that is no success."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def refusal_of(response: aiohttp.ClientResponse) -> Refusal:
    """The refusal, with the body's details as far as they come soon."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            body = await body_of(response)
    except (aiohttp.ClientError, TimeoutError, ConnectionError):
        body = b""
    return Refusal(response.status, response.headers, body)


async def receive(content: aiohttp.StreamReader, arriving: Arriving) -> None:
    """Take what comes until the answer is whole, or is not waited for any longer."""
    reading = Reading(arriving)
    while not (arriving.done or arriving.is_too_long):
        received = await (last_words(content, arriving) if arriving.ending else content.readany())
        if received:
            reading.feed(received)
        elif not arriving.done:
            reading.end()
            return
    if arriving.done:
        await until_body_ends(content)


async def last_words(content: aiohttp.StreamReader, arriving: Arriving) -> bytes:
    """What comes after the finish reason; silence makes the answer whole."""
    try:
        async with asyncio.timeout(LATE_WORD_SECONDS if arriving.is_late else LAST_WORD_SECONDS):
            return await content.readany()
    except TimeoutError:
        arriving.done = True
        return b""


def fault_of(fault: Exception, arriving: Arriving) -> ModelFailure:
    """What a broken connection or a time that ran out is. An answer that did not end in its time would not again."""
    failed = of_transport(fault)
    took_too_long = isinstance(fault, TimeoutError) and not isinstance(fault, aiohttp.ServerTimeoutError)
    failed.permanent |= took_too_long and arriving.begun
    return failed


async def until_body_ends(content: aiohttp.StreamReader) -> None:
    if not content.is_eof():
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await content.wait_eof()
        except (TimeoutError, aiohttp.ClientError):
            return
