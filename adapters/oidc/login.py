"""Logins of people at identity providers: the code flow with PKCE."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode

import httpx2

from adapters.oidc.provider import BETWEEN_S, OidcProvider
from adapters.oidc.tokens import OidcTokens, peek
from domain.errors import Invalid, Unauthenticated, Unavailable
from domain.keys.oidc import is_trusted_url
from domain.keys.ports import NO_LOGIN, LoginAttempt, StoredKey

_NOT_TAKEN = "the identity provider has not confirmed the login"


class OidcLogins:
    """`domain.keys.ports.LoginProviders` of the providers whose tokens are accepted."""

    def __init__(self, tokens: OidcTokens) -> None:
        self._tokens = tokens

    async def address(self, attempt: LoginAttempt) -> str:
        provider = self._provider(attempt)
        address = (await provider.description()).get("authorization_endpoint")
        if not isinstance(address, str) or not is_trusted_url(address):
            raise Unavailable("the identity provider names no address for logins", retry_after=BETWEEN_S)
        challenge = urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": provider.issuer.client_id,
            "redirect_uri": provider.issuer.redirect_uri,
            "scope": "openid profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def redeem(self, attempt: LoginAttempt, code: str) -> StoredKey:
        provider = self._provider(attempt)
        answer = await self._exchange(provider, attempt, code)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated(_NOT_TAKEN)
        header, _ = peek(token)
        claims = await self._tokens.verified_claims(token, header, provider, [provider.issuer.client_id or ""])
        if not compare_digest(str(claims.get("nonce")).encode(), attempt.nonce.encode()):
            raise Unauthenticated(_NOT_TAKEN)
        return await self._tokens.caller(provider.issuer, claims)

    def _provider(self, attempt: LoginAttempt) -> OidcProvider:
        provider = self._tokens.provider(attempt.issuer or None)
        if provider is None or provider.issuer.client_id is None:
            raise Invalid(NO_LOGIN, field="issuer")
        return provider

    async def _exchange(self, provider: OidcProvider, attempt: LoginAttempt, code: str) -> Mapping[str, Any]:
        """Return what the provider gives for a code."""
        issuer, url = provider.issuer, (await provider.description()).get("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": issuer.redirect_uri or "",
            "client_id": issuer.client_id or "",
            "code_verifier": attempt.verifier,
        }
        secret = issuer.client_secret
        auth = httpx2.BasicAuth(issuer.client_id or "", secret.get_secret_value()) if secret is not None else None
        try:
            return await provider.fetch("POST", url, data=form, auth=auth)
        except httpx2.HTTPError as error:
            raise Unavailable("the identity provider cannot be reached", retry_after=2) from error
        except ValueError:
            raise Unauthenticated(_NOT_TAKEN) from None
