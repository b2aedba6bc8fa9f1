"""Sessions of browsers: from a key or a login, until the key is revoked, the user logs out, or time is over."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from api.http.api_keys import COOKIE, SECURE_COOKIE
from runtime.settings import Settings
from tests.keys.test_api import AS_ADMIN, KEYS, another_api, made
from tests.system import ADMIN_KEY, System, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "/api/v1/auth/session"
COSTS = "/api/v1/cost-management/usage"
SECURE_HOST = "console.example"


@asynccontextmanager
async def browser(system: System, base: str = "http://127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies."""
    transport = httpx.ASGITransport(system.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base) as opened:
        yield opened


async def logged_in(http: httpx.AsyncClient, key: str) -> dict[str, Any]:
    answer = await http.post(SESSION, json={"key": key})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def status(http: httpx.AsyncClient, path: str = COSTS) -> int:
    return (await http.get(path)).status_code


async def test_a_session_acts_as_its_key_does(guarded: System) -> None:
    key = await made(guarded, scopes=["read", "write"])
    async with browser(guarded) as http:
        assert await status(http) == 401
        session = await logged_in(http, key["key"])
        assert (session["caller_id"], session["tenant_id"]) == (key["id"], "default")
        assert await status(http) == 200
        assert await status(http, KEYS) == 403
        shown = (await http.get(SESSION)).json()
        assert shown == session
        left = datetime.fromisoformat(shown["expires_at"]) - datetime.now().astimezone()
        assert timedelta(hours=7) < left <= timedelta(hours=8)


async def test_the_cookie_is_for_this_host_only_and_for_no_script(guarded: System) -> None:
    async with browser(guarded) as http:
        answer = await http.post(SESSION, json={"key": ADMIN_KEY})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=28800"):
        assert part in cookie
    assert "Secure" not in cookie, "a browser on this machine speaks plain http"
    assert answer.json()["csrf_token"] not in cookie


async def test_on_any_other_host_the_cookie_is_secure(shared_settings: Settings) -> None:
    changed = {"auth": "keys", "allowed_hosts": (SECURE_HOST,)}
    settings = Settings(**{**shared_settings.model_dump(), **changed})
    async with running(settings, working=False) as system, browser(system, f"https://{SECURE_HOST}") as http:
        answer = await http.post(SESSION, json={"key": ADMIN_KEY})
        assert answer.headers["set-cookie"].startswith(f"{SECURE_COOKIE}=")
        assert "Secure" in answer.headers["set-cookie"]
        assert await status(http) == 200


async def test_what_a_session_changes_needs_its_token(guarded: System) -> None:
    async with browser(guarded) as http, browser(guarded) as other:
        session, another = await logged_in(http, ADMIN_KEY), await logged_in(other, ADMIN_KEY)
        body = {"name": "n", "scopes": ["read"]}
        for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}, {"x-csrf-token": another["csrf_token"]}):
            answer = await http.post(KEYS, json=body, headers=headers)
            assert answer.status_code == 403, answer.text
        assert (await http.delete(SESSION)).status_code == 403
        right = {"x-csrf-token": session["csrf_token"]}
        assert (await http.post(KEYS, json=body, headers=right)).status_code == 201
        assert (await http.post(KEYS, json=body, headers=AS_ADMIN)).status_code == 201, "a key is no cookie"


async def test_revoking_the_key_ends_its_sessions_in_every_api_within_a_second(guarded: System) -> None:
    key = await made(guarded)
    async with browser(guarded) as http, another_api(guarded) as other:
        await logged_in(http, key["key"])
        other.cookies = http.cookies
        for client in (http, other):
            await until(lambda client=client: status(client), lambda code: code == 200)
        await guarded.http.delete(f"{KEYS}/{key['id']}", headers=AS_ADMIN)
        async with asyncio.timeout(1):
            for client in (http, other):
                await until(lambda client=client: status(client), lambda code: code == 401)


async def test_a_session_ends_with_the_text_of_the_key_that_it_was_made_from(guarded: System) -> None:
    key = await made(guarded)
    async with browser(guarded) as old, browser(guarded) as new:
        await logged_in(old, key["key"])
        rotated = await guarded.http.post(f"{KEYS}/{key['id']}/rotate", json={"overlap_s": 0}, headers=AS_ADMIN)
        await logged_in(new, rotated.json()["key"])
        await until(lambda: status(old), lambda code: code == 401, seconds=1)
        assert await status(new) == 200


async def test_logging_out_ends_the_session_everywhere(guarded: System) -> None:
    async with browser(guarded) as http, another_api(guarded) as other:
        session = await logged_in(http, ADMIN_KEY)
        stolen = dict(http.cookies)
        other.cookies.update(stolen)
        await until(lambda: status(other), lambda code: code == 200)
        answer = await http.delete(SESSION, headers={"x-csrf-token": session["csrf_token"]})
        assert answer.status_code == 200
        assert not http.cookies
        assert await status(http) == 401
        await until(lambda: status(other), lambda code: code == 401, seconds=1)
        http.cookies.update(stolen)
        assert await status(http) == 401


async def test_a_session_that_is_over_is_none(guarded: System) -> None:
    async with browser(guarded) as http:
        await logged_in(http, ADMIN_KEY)
        with psycopg.connect(guarded.settings.database_url or "", autocommit=True) as connection:
            connection.execute("UPDATE browser_sessions SET expires_at = now() - interval '1 second'")
        assert await status(http) == 401
        await logged_in(http, ADMIN_KEY)
        with psycopg.connect(guarded.settings.database_url or "") as connection:
            assert connection.execute("SELECT count(*) FROM browser_sessions").fetchone() == (1,), (
                "the others are swept"
            )


async def test_neither_cookie_nor_token_is_kept_or_repeated(guarded: System) -> None:
    headers = {"idempotency-key": "login-once"}
    async with browser(guarded) as http, browser(guarded) as again:
        first = await http.post(SESSION, json={"key": ADMIN_KEY}, headers=headers)
        second = await again.post(SESSION, json={"key": ADMIN_KEY}, headers=headers)
    assert second.headers["idempotency-replayed"] == "true"
    assert "set-cookie" not in second.headers
    assert "csrf_token" not in second.json()
    cookie = first.cookies[COOKIE]
    with psycopg.connect(guarded.settings.database_url or "") as connection:
        for table in ("browser_sessions", "http_idempotency"):
            for secret in (cookie, cookie.encode().hex(), first.json()["csrf_token"].encode().hex()):
                asked = SQL("SELECT count(*) FROM {} AS t WHERE strpos(t::text, %s) > 0").format(Identifier(table))
                found = connection.execute(asked, (secret,))
                assert found.fetchone() == (0,), table


@pytest.mark.parametrize(
    "body", [{}, {"key": "cvg_wrong"}, {"key": "sk-other"}, {"key": "cvg_" + "a" * 400}, {"key": "cvg_\x00"}]
)
async def test_without_a_key_in_force_there_is_no_session(guarded: System, body: dict[str, str]) -> None:
    async with browser(guarded) as http:
        answer = await http.post(SESSION, json=body)
        assert answer.status_code in {401, 422}
        assert "set-cookie" not in answer.headers
    for cookie in ("", "x", "é", '"', "a" * 3000):
        answer = await guarded.http.get(COSTS, headers={b"cookie": f"{COOKIE}={cookie}".encode()})
        assert answer.status_code == 401


async def test_where_no_key_is_needed_a_stale_cookie_harms_nobody(shared: System) -> None:
    answer = await shared.http.get(COSTS, headers={"cookie": f"{COOKIE}=stale"})
    assert answer.status_code == 200
    shown = (await shared.http.get(SESSION, headers={"cookie": f"{COOKIE}=stale"})).json()
    assert (shown["caller_id"], shown["csrf_token"]) == ("anonymous", None)


@pytest.mark.filterwarnings("ignore:.*authlib.jose|get_jwt_config:DeprecationWarning")  # the provider's own
async def test_a_person_logs_in_at_a_real_provider(shared_settings: Settings) -> None:
    import oidc_provider_mock  # noqa: PLC0415  (it warns as it is imported)

    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        url = f"http://localhost:{server.server_port}"
        provider = {
            "issuer": url,
            "audience": "somebody-else",
            "tenant_id": "default",
            "scopes": ["read"],
            "client_id": "convergio",
            "client_secret": "secret",
            "redirect_uri": "http://127.0.0.1/api/v1/auth/callback",
        }
        changed = {"auth": "keys", "oidc_issuers": json.dumps([provider])}
        settings = Settings(**{**shared_settings.model_dump(), **changed})
        async with running(settings, working=False) as system, browser(system) as http, browser(system) as other:
            there = await http.get("/api/v1/auth/login", params={"next": "/docs?a=b"})
            assert there.status_code == 303, there.text
            back = await asyncio.to_thread(consent, there.headers["location"], "ada")
            assert (await other.get(back)).status_code == 422, "the login was begun by another browser"
            wrong = back.replace("state=", "state=x")
            assert (await http.get(wrong)).status_code == 401
            answer = await http.get(back)
            assert answer.status_code == 303, answer.text
            assert answer.headers["location"] == "/docs?a=b"
            shown = (await http.get(SESSION)).json()
            assert shown["caller_id"].startswith("oidc_")
            assert shown["scopes"] == ["read"]
            assert await status(http) == 200
            assert (await http.get(back)).status_code == 422, "a login is finished once"
            for path in ("//evil.example", "/\\evil.example", "https://evil.example", "docs"):
                answer = await http.get("/api/v1/auth/login", params={"next": path})
                assert answer.status_code == 422, path


def consent(address: str, subject: str) -> str:
    """Log in at the provider; return where it sends the browser."""
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    return httpx.post(address, data={"sub": subject}).headers["location"]
