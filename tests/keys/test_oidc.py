"""Tokens of identity providers: who is let in as whom, and which tokens are not."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr, ValidationError

from adapters.files.oidc_issuers import load_issuers
from adapters.oidc import provider as bounds
from adapters.oidc.provider import OidcProvider
from adapters.oidc.tokens import OidcTokens
from domain.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from domain.keys.oidc import OidcIssuer, subject_id
from domain.keys.ports import StoredKey
from runtime.settings import Settings
from tests.keys.issuer import Issuer, a_key, serving, text_of
from tests.system import ADMIN_KEY, running

RSA = a_key()
OTHER = a_key(key_id="two")
ADA = "tenant-a"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving(Issuer(published=[RSA])) as started:
        yield started


def described(issuer: Issuer, **changes: Any) -> OidcIssuer:
    usual = {"issuer": issuer.url, "audience": "convergio", "tenant_id": ADA, "scopes_claim": "scope"}
    fields = {**usual, **changes}
    return OidcIssuer.model_validate({name: value for name, value in fields.items() if value is not None})


@asynccontextmanager
async def tokens_of(*issuers: OidcIssuer, active: bool = True) -> AsyncIterator[OidcTokens]:
    async def is_active(_: str) -> bool:
        return active

    tokens = OidcTokens(issuers, is_active, lambda: datetime.now(UTC))
    try:
        yield tokens
    finally:
        await tokens.aclose()


def by_hmac(issuer: Issuer, secret: bytes) -> str:
    """A token that is signed with what everybody knows, as if it were a secret."""
    signed = f"{text_of({'alg': 'HS256', 'kid': 'one'})}.{text_of(issuer.claims())}"
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def short_key() -> dict[str, Any]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505  (too short)
    modulus = urlsafe_b64encode(numbers.n.to_bytes(128, "big")).decode().rstrip("=")
    return {"kty": "RSA", "kid": "short", "n": modulus, "e": "AQAB"}


async def is_refused(tokens: OidcTokens, token: str) -> bool:
    try:
        await tokens.verify(token)
    except Unauthenticated:
        return True
    return False


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def clocked(tokens: OidcTokens, issuer: Issuer) -> tuple[OidcProvider, Clock]:
    """The provider of this issuer, with a clock of the test's own."""
    clock, provider = Clock(), tokens.provider(issuer.url)
    assert provider is not None
    provider._clock = clock  # noqa: SLF001  (minutes pass in no time)
    return provider, clock


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_valid_token_acts_in_the_tenant_with_the_scopes_of_its_claims(issuer: Issuer, algorithm: str) -> None:
    key = a_key(algorithm)
    issuer.published = [key]
    async with tokens_of(described(issuer)) as tokens:
        found = await tokens.verify(issuer.token(key, algorithm, scope="openid read approve"))
        assert found == StoredKey(subject_id(issuer.url, "ada"), frozenset({"read", "approve"}), ADA)
        again = await tokens.verify(issuer.token(key, algorithm, jti="another"))
        assert again.id == found.id
        assert (await tokens.verify(issuer.token(key, algorithm, sub="bob"))).id != found.id
        assert issuer.fetched == 1


REFUSED: dict[str, dict[str, Any]] = {
    "expired": {"exp": int(time()) - 31},
    "without an end": {"exp": None},
    "with an end that is no number": {"exp": "tomorrow"},
    "not valid yet": {"nbf": int(time()) + 86_400},
    "issued in the future": {"iat": int(time()) + 86_400},
    "without a time": {"iat": None},
    "for another audience": {"aud": "somebody"},
    "for no audience": {"aud": None},
    "of another issuer": {"iss": "https://issuer.example"},
    "of no issuer": {"iss": None},
    "of no subject": {"sub": None},
    "of an empty subject": {"sub": ""},
    "of an endless subject": {"sub": "x" * 256},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
async def test_a_token_with_wrong_claims_is_refused(issuer: Issuer, changes: dict[str, Any]) -> None:
    async with tokens_of(described(issuer)) as tokens:
        assert await tokens.verify(issuer.token(RSA))
        with pytest.raises(Unauthenticated):
            await tokens.verify(issuer.token(RSA, **changes))


async def test_clocks_may_differ_by_no_more_than_is_allowed(issuer: Issuer) -> None:
    async with tokens_of(described(issuer, clock_skew_s=60)) as tokens:
        assert await tokens.verify(issuer.token(RSA, exp=int(time()) - 55))
        with pytest.raises(Unauthenticated):
            await tokens.verify(issuer.token(RSA, exp=int(time()) - 61))
    with pytest.raises(ValidationError):
        described(issuer, clock_skew_s=61)


async def test_a_token_without_a_signature_by_the_issuers_key_is_refused(issuer: Issuer) -> None:
    good = issuer.token(RSA)
    head, payload, signature = good.split(".")
    forged = {
        "signed by another key of the same id": issuer.token(a_key()),
        "none": f"{text_of({'alg': 'none', 'kid': 'one'})}.{payload}.",
        "none with a signature": f"{text_of({'alg': 'none', 'kid': 'one'})}.{payload}.{signature}",
        "None": f"{text_of({'alg': 'NONE', 'kid': 'one'})}.{payload}.",
        "HS256 with the public key": by_hmac(issuer, RSA.as_pem(private=False)),
        "HS256 with the published key": by_hmac(issuer, json.dumps(RSA.as_dict(private=False)).encode()),
        "an algorithm that is not allowed": issuer.token(RSA, "PS256"),
        "an algorithm of another kind of key": f"{text_of({'alg': 'ES256', 'kid': 'one'})}.{payload}.{signature}",
        "no algorithm": f"{text_of({'kid': 'one'})}.{payload}.{signature}",
        "no signature": f"{head}.{payload}.",
        "other claims": f"{head}.{text_of(issuer.claims(sub='root'))}.{signature}",
        "a critical header": issuer.token(RSA, header={"crit": ["b64"], "b64": True}),
        "a key that it brings itself": issuer.token(OTHER, header={"jwk": OTHER.as_dict(private=False)}),
        "an unknown key": issuer.token(OTHER),
    }
    async with tokens_of(described(issuer)) as tokens:
        assert await tokens.verify(good)
        for name, token in forged.items():
            assert await is_refused(tokens, token), name


@pytest.mark.parametrize(
    "text", ["x", "a.b", "a.b.c", "..", "é.é.é", "a.b.c.d.e", "[" * 9000 + ".x.y", f"{text_of([])}.{text_of({})}.x",
             f"{text_of({'alg': 'RS256'})}.{text_of([[]])}.x", f"{text_of({'alg': ['RS256']})}.{text_of({'iss': 1})}.x",
             "x" * 20_000]
)  # fmt: skip
async def test_a_text_that_is_no_token_is_refused(issuer: Issuer, text: str) -> None:
    async with tokens_of(described(issuer)) as tokens:
        with pytest.raises(Unauthenticated):
            await tokens.verify(text)


async def test_odd_headers_are_refused(issuer: Issuer) -> None:
    async with tokens_of(described(issuer)) as tokens:
        for header in ({"kid": 7}, {"kid": ["one"]}, {"alg": ["RS256"]}, {"alg": {"a": 1}}):
            head = text_of({"alg": "RS256", "kid": "one", **header})
            with pytest.raises(Unauthenticated):
                await tokens.verify(f"{head}.{text_of(issuer.claims())}.x")


async def test_a_rotated_key_is_found_and_unknown_ones_ask_at_a_bounded_rate(issuer: Issuer) -> None:
    async with tokens_of(described(issuer)) as tokens:
        _, clock = clocked(tokens, issuer)
        assert await tokens.verify(issuer.token(RSA))
        issuer.published = [RSA, OTHER]
        clock.time += bounds.BETWEEN_S
        assert await tokens.verify(issuer.token(OTHER))
        fetched = issuer.fetched
        for _ in range(50):
            with pytest.raises(Unauthenticated):
                await tokens.verify(issuer.token(a_key("ES256", "three"), "ES256"))
        assert issuer.fetched == fetched


async def test_a_withdrawn_key_is_no_longer_accepted(issuer: Issuer) -> None:
    async with tokens_of(described(issuer)) as tokens:
        provider, clock = clocked(tokens, issuer)
        assert await tokens.verify(issuer.token(RSA))
        issuer.published = [OTHER]
        clock.time += bounds.FRESH_S + 1
        await tokens.verify(issuer.token(RSA))  # fetches in the background
        await provider.finish()
        with pytest.raises(Unauthenticated):
            await tokens.verify(issuer.token(RSA))


async def test_a_provider_that_is_away_makes_its_tokens_neither_right_nor_wrong() -> None:
    issuer = Issuer(published=[RSA])
    with serving(issuer):
        settings, port = described(issuer), urlsplit(issuer.url).port or 0
    async with tokens_of(settings) as tokens:
        _, clock = clocked(tokens, issuer)
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token(RSA))
        clock.time += bounds.BETWEEN_S
        with serving(issuer, port):
            assert await tokens.verify(issuer.token(RSA))
        assert await tokens.verify(issuer.token(RSA)), "its keys are known"
        clock.time += bounds.BETWEEN_S
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token(OTHER))
        clock.time += bounds.KEPT_S
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token(RSA))


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{", b"{}", b'{"keys": 1}', json.dumps({"keys": [{}] * 101}).encode(), b" " * 300_000]
)
async def test_a_provider_that_answers_nonsense_is_away(issuer: Issuer, answer: bytes) -> None:
    issuer.answer = answer
    async with tokens_of(described(issuer, jwks_uri=f"{issuer.url}/keys")) as tokens:
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token(RSA))


@pytest.mark.parametrize(
    "description", [{"issuer": "https://other.example"}, {"jwks_uri": "http://other.example/keys"}, {"jwks_uri": None},
                    {"jwks_uri": "file:///etc/passwd"}]
)  # fmt: skip
async def test_a_description_that_cannot_be_trusted_is_not(issuer: Issuer, description: dict[str, Any]) -> None:
    issuer.description = description
    async with tokens_of(described(issuer)) as tokens:
        with pytest.raises(Unavailable):
            await tokens.verify(issuer.token(RSA))


async def test_keys_of_other_kinds_and_broken_ones_are_passed_over(issuer: Issuer) -> None:
    encryption = {**OTHER.as_dict(private=False), "kid": "enc", "use": "enc"}
    issuer.published = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        {"kty": "RSA", "kid": "broken"},
        7,
        short_key(),
        encryption,
        RSA,
    ]
    async with tokens_of(described(issuer)) as tokens:
        assert await tokens.verify(issuer.token(RSA))
        with pytest.raises(Unauthenticated):
            await tokens.verify(issuer.token(OTHER, header={"kid": "enc"}))


async def test_tenant_and_scopes_are_mapped_from_the_providers_own_names(issuer: Issuer) -> None:
    mapped = described(
        issuer,
        tenant_id=None,
        tenant_claim="org.id",
        tenants={"42": "acme"},
        scopes=["read"],
        scopes_claim="realm_access.roles",
        scopes_by_value={"boss": ["approve", "admin"]},
    )
    async with tokens_of(mapped) as tokens:
        found = await tokens.verify(issuer.token(RSA, org={"id": "42"}, realm_access={"roles": ["boss", "admin", 7]}))
        assert (found.tenant_id, found.scopes) == ("acme", {"read", "approve", "admin"})
        plain = await tokens.verify(issuer.token(RSA, org={"id": "42"}, realm_access={"roles": ["admin"]}))
        assert plain.scopes == {"read"}, "the provider's admin is not ours"
        for wrong in ({}, {"org": {"id": "43"}}, {"org": "42"}, {"org": {"id": ["42", "43"]}}):
            with pytest.raises(Forbidden):
                await tokens.verify(issuer.token(RSA, **wrong))


async def test_a_token_of_a_tenant_that_is_not_is_refused(issuer: Issuer) -> None:
    async with tokens_of(described(issuer), active=False) as tokens:
        with pytest.raises(Forbidden):
            await tokens.verify(issuer.token(RSA))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "ftp://127.0.0.1"},
        {"issuer": "https://[broken"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
        {"audience": ""},
        {"tenant_claim": "org"},
        {"tenant_id": None},
        {"scopes_claim": None},
        {"scopes": ["metrics"]},
        {"more": 1},
    ],
)
def test_a_provider_that_cannot_be_trusted_is_not_configured(wrong: dict[str, Any]) -> None:
    usual = {"issuer": "https://issuer.example", "audience": "a", "tenant_id": "default", "scopes_claim": "scope"}
    fields = {name: value for name, value in {**usual, **wrong}.items() if value is not None}
    with pytest.raises(ValidationError, match="CONVERGIO_OIDC_ISSUERS"):
        Settings(auth="keys", admin_key=SecretStr(ADMIN_KEY), oidc_issuers=SecretStr(json.dumps([fields])))


def test_providers_are_read_from_a_file_or_given_as_json(tmp_path: Path) -> None:
    one = {"issuer": "https://issuer.example", "audience": "a", "tenant_id": "default", "scopes": ["read"]}
    file = tmp_path / "issuers.yaml"
    file.write_text("- issuer: https://issuer.example\n  audience: a\n  tenant_id: default\n  scopes: [read]\n")
    assert load_issuers(str(file)) == load_issuers(json.dumps(one)) == load_issuers(json.dumps([one]))
    assert load_issuers(None) == load_issuers(" ") == ()
    for wrong in (str(tmp_path / "none.yaml"), "[", json.dumps([one, one]), json.dumps([7])):
        with pytest.raises(Invalid):
            load_issuers(wrong)
    with pytest.raises(ValidationError, match="needs CONVERGIO_AUTH=keys"):
        Settings(oidc_issuers=SecretStr(json.dumps(one)))


def id_token_of(url: str, subject: str) -> str:
    """Log in at the provider as a browser does, and redeem the code."""
    with httpx.Client(base_url=url) as browser:
        asked = {"client_id": "convergio", "redirect_uri": "http://localhost/back", "response_type": "code",
                 "scope": "openid", "state": "s"}  # fmt: skip
        answer = browser.post("/oauth2/authorize", params=asked, data={"sub": subject})
        (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
        answer = browser.post("/oauth2/token", data=form, auth=("convergio", "secret"))
        return str(answer.json()["id_token"])


@pytest.mark.filterwarnings("ignore:.*authlib.jose|get_jwt_config:DeprecationWarning")  # the provider's own
async def test_a_token_of_a_real_provider_opens_the_api(system_settings: Settings) -> None:
    import oidc_provider_mock  # noqa: PLC0415  (it warns as it is imported)

    ada = oidc_provider_mock.User(sub="ada", claims={"roles": ["read", "admin"]})
    with oidc_provider_mock.run_server_in_thread(user_claims=(ada,)) as server:
        url = f"http://localhost:{server.server_port}"
        provider = {"issuer": url, "audience": "convergio", "tenant_id": "default", "scopes": ["read"]}
        wanted = {"auth": "keys", "admin_key": ADMIN_KEY, "oidc_issuers": json.dumps([provider])}
        settings = Settings(**{**system_settings.model_dump(), **wanted})
        async with running(settings, working=False) as system:
            bearer = {"authorization": f"Bearer {id_token_of(url, 'ada')}"}
            answer = await system.http.get("/api/v1/cost-management/usage", headers=bearer)
            assert answer.status_code == 200, answer.text
            assert (await system.http.get("/api/v1/keys", headers=bearer)).status_code == 403
            for wrong in (
                {},
                {"authorization": "Bearer sk-other"},
                {"authorization": bearer["authorization"][:-4] + "AAAA"},
            ):
                assert (await system.http.get("/api/v1/cost-management/usage", headers=wrong)).status_code == 401
