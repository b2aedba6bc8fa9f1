"""`web_fetch`: reads one page of the public web as text."""

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientResponse
from yarl import URL

from adapters.web.address_guard import AddressForbidden, Lookup, lookup
from adapters.web.guarded_session import MAX_URL, GuardedSession, UrlRefused
from adapters.web.html_to_text import UnreadablePageError, html_to_text
from domain.tools.policy import MOST_CHARACTERS
from domain.tools.ports import ToolContext, ToolFailed, ToolResult
from domain.tools.spec import ToolSpec

FETCH_TIMEOUT_S = 20.0
"""Timeout of the whole fetch in seconds, redirects included."""
MAX_BYTES = 1024 * 1024
"""Maximum bytes of a body; the rest is cut."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/.+|application/(?:.+\+)?(?:json|xml)|application/(?:javascript|yaml|x-yaml|x-ndjson)")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_USER_AGENT = "Convergio (web_fetch)"
_ACCEPT = "text/html, text/plain, application/json, application/xml;q=0.9, text/*;q=0.8"
_SPEC = ToolSpec(
    name="web_fetch",
    description="Read one page of the public web (http or https) as text.",
    parameters={
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_URL,
                "description": "The whole address, such as https://example.org/page.",
            }
        },
        "required": ["url"],
        "additionalProperties": False,
    },
    timeout_s=FETCH_TIMEOUT_S + 5,
)


@dataclass(frozen=True, slots=True)
class _Page:
    """The final response."""

    url: URL
    status: int
    kind: str
    body: bytes
    charset: str | None
    cut: bool


class WebFetch:
    """`domain.tools.ports.Tool`. `trusted` are endpoints (address, port) that it may reach besides public ones."""

    spec = _SPEC

    def __init__(
        self, trusted: Collection[tuple[str, int]] = (), find: Lookup = lookup, *, patience_s: float = FETCH_TIMEOUT_S
    ) -> None:
        self._session = GuardedSession(_USER_AGENT, _ACCEPT, trusted, find)
        self._patience_s = patience_s

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        del context
        try:
            async with asyncio.timeout(self._patience_s):
                page = await self._fetch(arguments["url"])
        except TimeoutError:
            raise ToolFailed(f"The page was not there within {self._patience_s:g} seconds.") from None
        except UrlRefused as refused:
            raise ToolFailed(str(refused)) from refused
        except AddressForbidden as forbidden:
            raise ToolFailed(f"{forbidden} is not on the public web, so it is not fetched.") from forbidden
        except (ClientError, OSError, UnicodeError) as error:
            raise ToolFailed(f"The page could not be fetched ({type(error).__name__}).") from error
        try:
            text = await asyncio.to_thread(_text_of, page)
        except UnreadablePageError as error:
            raise ToolFailed("The page takes too much time or memory to be read.") from error
        return ToolResult(text, (str(page.url.with_fragment(None)),))

    async def _fetch(self, url: str) -> _Page:
        async with self._session.get(url) as response:
            return await _read(response.real_url, response)


async def _read(url: URL, response: ClientResponse) -> _Page:
    kind = response.content_type.lower()
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ToolFailed(f"{url} answered with status {response.status} {response.reason or ''}".strip() + ".")
    if not _TEXT.fullmatch(kind):
        raise ToolFailed(f"{url} is {kind}, and only text can be read.")
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_BYTES:
            response.close()
            break
    return _Page(url, response.status, kind, bytes(body[:MAX_BYTES]), response.charset, len(body) > MAX_BYTES)


def _text_of(page: _Page) -> str:
    text, title = _decode(page), ""
    if page.kind in _HTML:
        title, text = html_to_text(text, most=MOST_CHARACTERS)
    lines = [f"URL: {page.url}", f"Status: {page.status}"]
    if title:
        lines.append(f"Title: {title}")
    if page.cut:
        lines.append(f"Cut: only the first {MAX_BYTES:,} bytes were read")
    return "\n".join([*lines, "", text or "(no text)"])


def _decode(page: _Page) -> str:
    declared = _CHARSET.search(page.body[:2048]) if page.kind in _HTML else None
    charset = page.charset or (declared[1].decode() if declared else "utf-8")
    try:
        return page.body.decode(charset, errors="replace")
    except (LookupError, ValueError):  # an unknown charset, or a codec that is not for text
        return page.body.decode(errors="replace")
