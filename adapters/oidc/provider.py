"""One identity provider: its description and its signing keys, fetched within bounds and cached."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from domain.errors import Unavailable
from domain.keys.oidc import Algorithm, OidcIssuer, is_trusted_url

PublicKey = RSAKey | ECKey | OKPKey

FRESH_S = 600.0
"""Seconds after which keys are fetched again: a provider that withdraws a key is heard by then."""
KEPT_S = 3600.0
"""Seconds for which keys are used while the provider is away."""
BETWEEN_S = 10.0
"""Seconds between two attempts to fetch, at least, however many tokens name unknown keys."""
MAX_BYTES = 256 * 1024
TIMEOUT_S = 5.0

_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_KINDS: Mapping[str, str] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class OidcProvider:
    """Fetches with `client`, which follows no redirects."""

    def __init__(
        self, issuer: OidcIssuer, client: httpx2.AsyncClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.issuer = issuer
        self._client = client
        self._clock = clock
        self._keys: list[PublicKey] = []
        self._description: Mapping[str, Any] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("oidc")

    async def find_key(self, key_id: str | None, algorithm: Algorithm) -> PublicKey | None:
        """Return the key of this id, or, without an id, the only one that fits; None if there is none.

        Raises:
            Unavailable: the provider cannot be reached, and it is not known which keys it has.
        """
        found = self._find(key_id, algorithm)
        if found is None:
            await self._refresh()  # the provider may have rotated its keys
            found = self._find(key_id, algorithm)
        elif self._age() > FRESH_S and not self._lock.locked():
            self._refreshing = asyncio.create_task(self._refresh())  # nobody waits for a provider that hangs
        if found is None and (self._failed or self._age() > KEPT_S):
            raise Unavailable("the identity provider cannot be reached", retry_after=BETWEEN_S)
        return found

    async def description(self) -> Mapping[str, Any]:
        """Return the provider's description of itself.

        Raises:
            Unavailable: it cannot be reached, and never was.
        """
        if not self._description:
            await self._refresh()
        if not self._description:
            raise Unavailable("the identity provider cannot be reached", retry_after=BETWEEN_S)
        return self._description

    async def finish(self) -> None:
        """Wait for a fetch that nobody waits for."""
        if self._refreshing is not None:
            await self._refreshing

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _find(self, key_id: str | None, algorithm: Algorithm) -> PublicKey | None:
        if self._age() > KEPT_S:
            return None
        fitting = [key for key in self._keys if _fits(key, algorithm) and key_id in {None, key.kid}]
        return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None

    async def _refresh(self) -> None:
        """Fetch the keys anew, unless that was tried a moment ago."""
        async with self._lock:
            if self._tried_at is not None and self._clock() - self._tried_at < BETWEEN_S:
                return
            self._tried_at = self._clock()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    self._description = await self._describe()
                    self._keys = await self._fetch_keys()
            except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
                self._failed = True
                self._log.warning("an identity provider is away", issuer=self.issuer.issuer, reason=repr(error)[:300])
            else:
                self._failed, self._fetched_at = False, self._clock()

    async def _describe(self) -> Mapping[str, Any]:
        if self.issuer.jwks_uri is not None and self.issuer.client_id is None:
            return {"issuer": self.issuer.issuer, "jwks_uri": self.issuer.jwks_uri}
        found = await self.fetch("GET", f"{self.issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer.issuer:
            raise ValueError("the description is of another issuer")
        return found

    async def _fetch_keys(self) -> list[PublicKey]:
        listed = (await self.fetch("GET", self.issuer.jwks_uri or self._description.get("jwks_uri"))).get("keys")
        if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
            raise ValueError("the provider's keys are no list, or too many")
        return [key for each in listed if (key := _import(each)) is not None]

    async def fetch(self, method: str, url: object, **sent: Any) -> dict[str, Any]:
        """Return the JSON object at an address of the provider's; `sent` is the client's, such as a form.

        Raises:
            httpx2.HTTPError: it cannot be reached, or fails.
            ValueError: the address cannot be trusted, or the answer is too large, or no JSON object, or not 200.
        """
        if not isinstance(url, str) or not is_trusted_url(url):
            raise ValueError(f"the provider names no trustworthy address: {str(url)[:200]}")
        body = bytearray()
        async with self._client.stream(method, url, **sent) as answer:
            if answer.is_server_error:
                answer.raise_for_status()
            if answer.status_code != httpx2.codes.OK:
                raise ValueError(f"the provider answered {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("the provider's answer is too large")
        found = orjson.loads(body)
        if not isinstance(found, dict):
            raise ValueError("the provider's answer is no JSON object")  # noqa: TRY004  (it is no bug of ours)
        return found


def _import(given: object) -> PublicKey | None:
    """Return a public key of a provider's list; None for one of another kind, or that is broken or too short."""
    if not isinstance(given, dict) or given.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    try:
        if given["kty"] == "RSA" and _bits(str(given["n"])) < _MIN_RSA_BITS:
            return None
        key = JWKRegistry.import_key({name: value for name, value in given.items() if name != "d"})
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number.encode()), "big").bit_length()


def _fits(key: PublicKey, algorithm: Algorithm) -> bool:
    return (
        key.key_type == _KINDS[algorithm[:2]]
        and key.get("use") in {None, "sig"}
        and key.get("alg") in {None, algorithm}
    )
