"""Fetches documents of the public web, past the same guard as the tool `web_fetch`."""

import asyncio
from collections.abc import Collection
from http import HTTPStatus

from aiohttp import ClientError, ClientResponse

from adapters.web.address_guard import AddressForbidden, Lookup, lookup
from adapters.web.guarded_session import GuardedSession, UrlRefused
from domain.errors import Unavailable
from domain.knowledge.policy import MAX_FILE
from domain.knowledge.ports import ExtractionFailed, FetchedPage

TIMEOUT_S = 60.0
_ACCEPT = "text/html, application/pdf, text/plain, text/*;q=0.9, */*;q=0.5"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DocumentFetcher:
    """`domain.knowledge.ports.PageFetcher`. `trusted` are endpoints that it may reach besides public ones."""

    def __init__(self, trusted: Collection[tuple[str, int]] = (), find: Lookup = lookup) -> None:
        self._session = GuardedSession("Convergio (documents)", _ACCEPT, trusted, find)

    async def fetch(self, url: str) -> FetchedPage:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._session.get(url) as response:
                return await _read(response)
        except UrlRefused as refused:
            raise ExtractionFailed("FORBIDDEN_URL", str(refused)) from refused
        except AddressForbidden as forbidden:
            message = "the URL is not on the public web, so it is not fetched"
            raise ExtractionFailed("FORBIDDEN_URL", message) from forbidden
        except (TimeoutError, ClientError, OSError, UnicodeError) as error:
            raise Unavailable(f"the URL could not be fetched ({type(error).__name__})", retry_after=5) from error


async def _read(response: ClientResponse) -> FetchedPage:
    if response.status in _PASSING:
        raise Unavailable(f"the server of the URL answered with status {response.status}", retry_after=5)
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ExtractionFailed("NOT_FETCHED", f"the server of the URL answered with status {response.status}")
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_FILE:
            raise ExtractionFailed("TOO_LARGE", f"the document at the URL exceeds {MAX_FILE} bytes")
    return FetchedPage(bytes(body), response.content_type.lower())
