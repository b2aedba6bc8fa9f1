"""Logins at an identity provider: what is sent there, and what is not believed."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.oidc.login import OidcLogins
from adapters.oidc.tokens import OidcTokens
from domain.errors import Invalid, Unauthenticated, Unavailable
from domain.keys.oidc import OidcIssuer, subject_id
from domain.keys.ports import LoginAttempt
from tests.keys.issuer import Issuer, a_key, serving

KEY = a_key()
ATTEMPT = LoginAttempt("", "the-state", "the-nonce", "the-verifier")
BACK = "https://console.example/api/v1/auth/callback"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving(Issuer(published=[KEY])) as started:
        started.description = {
            "authorization_endpoint": f"{started.url}/authorize?ui=de",
            "token_endpoint": f"{started.url}/token",
        }
        yield started


@asynccontextmanager
async def logins_at(*issuers: Issuer, **changes: Any) -> AsyncIterator[OidcLogins]:
    async def is_active(_: str) -> bool:
        return True

    usual = {"audience": "the-api", "tenant_id": "acme", "scopes": ["read"], "client_id": "us", "redirect_uri": BACK}
    known = [OidcIssuer.model_validate({"issuer": each.url, **usual, **changes}) for each in issuers]
    tokens = OidcTokens(known, is_active, lambda: datetime.now(UTC))
    try:
        yield OidcLogins(tokens)
    finally:
        await tokens.aclose()


def confirmed(issuer: Issuer, **claims: Any) -> tuple[int, Any]:
    """What a provider gives for a code."""
    return 200, {"id_token": issuer.token(KEY, **{"aud": "us", "nonce": ATTEMPT.nonce, **claims})}


async def test_the_browser_is_sent_to_the_provider_with_a_challenge_and_no_secret(issuer: Issuer) -> None:
    async with logins_at(issuer, client_secret="quiet") as logins:
        address = await logins.address(ATTEMPT)
    asked = parse_qs(urlsplit(address).query)
    challenge = urlsafe_b64encode(sha256(ATTEMPT.verifier.encode()).digest()).decode().rstrip("=")
    assert asked == {
        "ui": ["de"],
        "response_type": ["code"],
        "client_id": ["us"],
        "redirect_uri": [BACK],
        "scope": ["openid profile"],
        "state": [ATTEMPT.state],
        "nonce": [ATTEMPT.nonce],
        "code_challenge": [challenge],
        "code_challenge_method": ["S256"],
    }


async def test_a_code_is_redeemed_with_its_verifier(issuer: Issuer) -> None:
    issuer.given = confirmed(issuer)
    async with logins_at(issuer, client_secret="quiet") as logins:
        found = await logins.redeem(ATTEMPT, "the-code")
    assert (found.id, found.tenant_id, found.scopes) == (subject_id(issuer.url, "ada"), "acme", {"read"})
    (sent,) = issuer.redeemed
    assert (sent["code"], sent["code_verifier"]) == (["the-code"], [ATTEMPT.verifier])
    assert sent["authorization"] == [f"Basic {b64encode(b'us:quiet').decode()}"]


@pytest.mark.parametrize(
    "claims",
    [{"nonce": None}, {"nonce": "another"}, {"nonce": 7}, {"aud": "the-api"}, {"exp": 1}, {"iss": "https://x.example"}],
)
async def test_a_token_that_is_not_for_this_login_is_not_believed(issuer: Issuer, claims: dict[str, Any]) -> None:
    issuer.given = confirmed(issuer, **claims)
    async with logins_at(issuer) as logins:
        with pytest.raises(Unauthenticated):
            await logins.redeem(ATTEMPT, "the-code")


@pytest.mark.parametrize("given", [(400, {}), (200, {}), (200, []), (200, {"id_token": 7}), (200, {"id_token": "x"})])
async def test_a_provider_that_does_not_take_the_code_confirms_nobody(issuer: Issuer, given: tuple[int, Any]) -> None:
    issuer.given = given
    async with logins_at(issuer) as logins:
        with pytest.raises(Unauthenticated):
            await logins.redeem(ATTEMPT, "the-code")


async def test_a_provider_that_fails_confirms_nobody_and_refuses_nobody(issuer: Issuer) -> None:
    issuer.given = (500, {})
    async with logins_at(issuer) as logins:
        with pytest.raises(Unavailable):
            await logins.redeem(ATTEMPT, "the-code")


async def test_one_of_several_providers_has_to_be_named(issuer: Issuer) -> None:
    with serving(Issuer(published=[KEY])) as other:
        async with logins_at(issuer, other) as logins:
            named = LoginAttempt(issuer.url, "s", "n", "v")
            assert (await logins.address(named)).startswith(issuer.url)
            for wrong in ("", "https://other.example"):
                with pytest.raises(Invalid):
                    await logins.address(LoginAttempt(wrong, "s", "n", "v"))
    async with logins_at(issuer, client_id=None, redirect_uri=None) as logins:
        with pytest.raises(Invalid):
            await logins.address(LoginAttempt(issuer.url, "s", "n", "v"))


async def test_a_provider_that_names_no_trustworthy_address_is_away(issuer: Issuer) -> None:
    issuer.description = {"authorization_endpoint": "http://elsewhere.example/authorize"}
    async with logins_at(issuer) as logins:
        with pytest.raises(Unavailable):
            await logins.address(ATTEMPT)
