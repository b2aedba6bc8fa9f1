"""The check of tokens: signature, issuer, audience and times."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, get_args

import httpx2
import orjson
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from adapters.oidc.provider import TIMEOUT_S, OidcProvider, PublicKey
from domain.errors import Forbidden, Unauthenticated
from domain.keys.oidc import Algorithm, OidcIssuer
from domain.keys.ports import StoredKey

MAX_TOKEN = 16 * 1024
"""Characters of a token, at most."""

_ALGORITHMS = frozenset(get_args(Algorithm))
_INVALID = "the token is not valid"


class OidcTokens:
    """`domain.keys.ports.TokenVerifier` of the tokens of these issuers. `is_active` tells which tenants there are."""

    def __init__(
        self,
        issuers: Iterable[OidcIssuer],
        is_active: Callable[[str], Awaitable[bool]],
        now: Callable[[], datetime],
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._client = client or httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        self._providers = {each.issuer: OidcProvider(each, self._client) for each in issuers}
        self._is_active = is_active
        self._now = now

    async def aclose(self) -> None:
        """Close the connections to the providers."""
        for provider in self._providers.values():
            await provider.finish()
        await self._client.aclose()

    def provider(self, issuer: str | None) -> OidcProvider | None:
        """Return the provider of this issuer; without a name, the only one that people can log in with."""
        if issuer is not None:
            return self._providers.get(issuer)
        able = [each for each in self._providers.values() if each.issuer.client_id is not None]
        return able[0] if len(able) == 1 else None

    async def verify(self, token: str) -> StoredKey:
        header, issuer = peek(token)
        provider = self._providers.get(issuer)
        if provider is None:
            raise Unauthenticated("the token is of an issuer that is not configured")
        claims = await self.verified_claims(token, header, provider, provider.issuer.audiences)
        return await self.caller(provider.issuer, claims)

    async def caller(self, issuer: OidcIssuer, claims: Mapping[str, Any]) -> StoredKey:
        """Return what the subject of verified claims is and may do.

        Raises:
            Forbidden: its tenant is none of this platform's.
        """
        caller = issuer.caller(claims)
        if not await self._is_active(caller.tenant_id):
            raise Forbidden("the token's tenant is not one of this platform's")
        return caller

    async def verified_claims(
        self, token: str, header: Mapping[str, Any], provider: OidcProvider, audiences: list[str]
    ) -> dict[str, Any]:
        """Return the claims of a token that this provider has signed for one of the audiences, and that is valid now.

        Raises:
            Unauthenticated: it is not.
            domain.errors.Unavailable: the provider's keys cannot be fetched.
        """
        algorithm = header.get("alg")
        if algorithm not in provider.issuer.algorithms:
            raise Unauthenticated("the token's algorithm is not allowed")
        key_id = header.get("kid")
        if not isinstance(key_id, str | None) or "crit" in header:
            raise Unauthenticated(_INVALID)
        key = await provider.find_key(key_id, algorithm)
        if key is None:
            raise Unauthenticated("the token's key is unknown")
        return self._check(token, key, algorithm, provider.issuer, audiences)

    def _check(
        self, token: str, key: PublicKey, algorithm: str, issuer: OidcIssuer, audiences: list[str]
    ) -> dict[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            now=int(self._now().timestamp()),
            leeway=issuer.clock_skew_s,
            iss={"essential": True, "value": issuer.issuer},
            aud={"essential": True, "values": audiences},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            found = jwt.decode(token, key, registry=_SignatureRules(algorithms=[algorithm], strict_check_header=False))
            rules.validate(found.claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthenticated(_INVALID) from None
        return dict(found.claims)


class _SignatureRules(JWSRegistry):
    """Allows what is configured. The library warns of EdDSA, whose name does not say its curve; the key does."""

    max_header_length = 8 * 1024

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()) or name not in _ALGORITHMS:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def peek(token: str) -> tuple[dict[str, Any], str]:
    """Return the header and the issuer that a token claims. Neither is verified.

    Raises:
        Unauthenticated: it has not the form of a signed token.
    """
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3:  # noqa: PLR2004  (header, claims, signature)
        raise Unauthenticated(_INVALID)
    try:
        header, claims = (orjson.loads(urlsafe_b64decode(part.encode("ascii"))) for part in parts[:2])
    except (ValueError, TypeError):
        raise Unauthenticated(_INVALID) from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or not isinstance(claims.get("iss"), str):
        raise Unauthenticated(_INVALID)
    return header, claims["iss"]
