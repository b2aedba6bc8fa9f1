"""GET requests to the public web: every redirect and every resolved address is checked."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from adapters.web.address_guard import AddressForbidden, AddressRules, CheckedResolver, Lookup, lookup

MAX_REDIRECTS = 5
MAX_URL = 2000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class UrlRefused(Exception):  # noqa: N818  (a refusal, not a failure)
    """This is not a URL that can be fetched; the message says why."""


class GuardedSession:
    """Sends GET requests. `trusted` are endpoints (address, port) that it may reach besides public ones."""

    def __init__(
        self, user_agent: str, accept: str, trusted: Collection[tuple[str, int]] = (), find: Lookup = lookup
    ) -> None:
        self._headers = {"User-Agent": user_agent, "Accept": accept}
        self._rules = AddressRules(trusted)
        self._find = find

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[ClientResponse]:
        """Yield the response of the last redirect.

        Raises:
            UrlRefused: a URL is none of the public web, or there are too many redirects.
            AddressForbidden: a host is not on the public web.
        """
        resolver = CheckedResolver(self._rules, self._find)
        # neither cache nor reuse: every connection goes through the checked resolver
        connector = TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
        async with ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            headers=self._headers,
            timeout=ClientTimeout(total=None),
            trust_env=False,  # a proxy would resolve names itself, past the guard
        ) as session:
            following = _parse(url)
            for _ in range(MAX_REDIRECTS + 1):
                self._require_allowed(following)
                async with session.get(following, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS or "Location" not in response.headers:
                        yield response
                        return
                    following = _join(following, response.headers["Location"])
                    response.close()
        raise UrlRefused(f"The page was redirected more than {MAX_REDIRECTS} times.")

    def _require_allowed(self, url: URL) -> None:
        """Refuse a URL that is not allowed in itself. Host names are checked when they are resolved."""
        host, port = url.raw_host, url.port
        if url.scheme not in {"http", "https"} or not host or port is None:
            raise UrlRefused("Only http:// and https:// addresses can be fetched.")
        if url.user is not None or url.password is not None:
            raise UrlRefused("The address must not hold a user name or a password.")
        if not self._rules.allows_port(port):
            raise UrlRefused(f"Port {port} is not one of the web (80 or 443).")
        # the connector does not pass literal addresses to the resolver, so they are checked here
        if (":" in host or host.replace(".", "").isdigit()) and not self._rules.allows(host, port):
            raise AddressForbidden(host)


def _parse(text: str) -> URL:
    try:
        return URL(text.strip())
    except ValueError as error:
        raise UrlRefused("This is not an address that can be fetched.") from error


def _join(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location[:MAX_URL]))
    except ValueError as error:
        raise UrlRefused("The page was redirected to something that is no address.") from error
