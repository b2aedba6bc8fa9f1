"""Request ids and keys: who asked, and which request this was."""

import pytest
from pydantic import SecretStr
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from adapters.memory.keys import MemoryKeys
from api.http.api_keys import KeyAuthenticator, key_hash
from api.http.caller import ALL_SCOPES, Caller
from domain.keys.ports import StoredKey
from runtime.settings import Settings
from runtime.wiring.parts import keys
from tests.api.toy import SECRET, WITH_ADMIN, client, refused, toy_app

WHO = "/api/v1/things/who"


async def test_a_sane_request_id_is_taken_and_returned() -> None:
    async with client(toy_app()) as api:
        answer = await api.get(WHO, headers={"x-request-id": "mine-123"})
    assert answer.headers["x-request-id"] == "mine-123"
    assert answer.json()["request_id"] == "mine-123"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "with space", "tab\there", "ä"])
async def test_any_other_request_id_is_made(given: str | None) -> None:
    headers = {} if given is None else {b"x-request-id": given.encode()}
    async with client(toy_app()) as api:
        answer = await api.get(WHO, headers=headers)
    made = answer.headers["x-request-id"]
    assert made.startswith("req_")
    assert made != given


async def test_the_request_id_is_bound_to_the_log_while_the_request_lasts() -> None:
    async with client(toy_app()) as api:
        with capture_logs() as logs:
            await api.get(WHO, headers={"x-request-id": "mine-123"})
    assert logs[0]["event"] == "request"
    assert "request_id" not in get_contextvars()


async def test_with_auth_off_no_key_is_needed_and_foreign_tokens_are_ignored() -> None:
    async with client(toy_app(keys=WITH_ADMIN)) as api:
        for headers in (
            {},
            {"authorization": "Bearer sk-other"},
            {"authorization": "Basic eA=="},
            {"x-api-key": "other"},
        ):
            assert (await api.get(WHO, headers=headers)).json()["caller"] == "anonymous"


async def test_with_auth_off_a_key_that_is_sent_is_still_checked() -> None:
    async with client(toy_app(keys=WITH_ADMIN)) as api:
        right = await api.get(WHO, headers={"authorization": f"Bearer {SECRET}"})
        wrong = await api.get(WHO, headers={"authorization": "Bearer cvg_wrong"})
        other = await api.get(WHO, headers={"x-api-key": "cvg_wrong"})
    assert right.json()["caller"] == "key_admin"
    refused(wrong, 401, "UNAUTHORIZED")
    refused(other, 401, "UNAUTHORIZED")


async def test_with_auth_on_a_key_is_needed_by_either_header() -> None:
    app = toy_app(auth_on=True, keys=WITH_ADMIN)
    async with client(app) as api:
        for headers in ({}, {"authorization": "Bearer sk-other"}, {"x-api-key": "other"}):
            answer = await api.get(WHO, headers=headers)
            refused(answer, 401, "UNAUTHORIZED")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for headers in ({"authorization": f"bearer {SECRET}"}, {"x-api-key": SECRET}):
            assert (await api.get(WHO, headers=headers)).json()["caller"] == "key_admin"


async def test_with_auth_on_health_and_docs_stay_open_and_figures_do_not() -> None:
    app = toy_app(auth_on=True, keys=WITH_ADMIN)
    async with client(app) as api:
        for path in ("/health", "/health/live", "/docs", "/redoc", "/openapi.json"):
            assert (await api.get(path)).status_code == 200
        refused(await api.get("/metrics"), 401, "UNAUTHORIZED")
        refused(await api.get("/healthy"), 401, "UNAUTHORIZED")


async def test_no_key_is_right_while_no_admin_key_is_set() -> None:
    async with client(toy_app()) as api:
        refused(await api.get(WHO, headers={"x-api-key": SECRET}), 401, "UNAUTHORIZED")


async def test_a_key_acts_in_the_tenant_that_its_store_names() -> None:
    keys = {
        key_hash("cvg_one"): StoredKey("key_1", ALL_SCOPES, "acme"),
        key_hash("cvg_two"): StoredKey("key_2", frozenset({"read"}), "zeta"),
    }
    identity = KeyAuthenticator(MemoryKeys(keys), required=True)
    for key, caller in (
        (b"cvg_one", Caller("key_1", ALL_SCOPES, "acme")),
        (b"cvg_two", Caller("key_2", frozenset({"read"}), "zeta")),
    ):
        assert await identity.authenticate({b"x-api-key": key}, open_path=False) == caller
    assert (await identity.authenticate({}, open_path=True)).tenant_id == "default"


async def test_the_keys_of_the_settings_act_in_the_tenant_default() -> None:
    store = keys(Settings(admin_key=SecretStr(SECRET), metrics_key=SecretStr("cvg_figures")))
    for key in (SECRET, "cvg_figures"):
        found = await store.find(key)
        assert found is not None
        assert found.tenant_id == "default"


def test_a_key_of_a_tenant_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="a tenant's id"):
        MemoryKeys({key_hash("cvg_one"): StoredKey("key_1", ALL_SCOPES, "No Such")})
